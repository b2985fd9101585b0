import json

from modelward.cli import main


def test_sealing_is_measured_and_rotating_costs_little(capsys):
    assert main(["bench", "sealing", "--json", "--content", "4", "--file", "32"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["wraps_per_second"] > 0
    assert figures["seal_ratio"] > 0.2
    assert figures["file_peak_memory_mib"] < 200
    assert figures["gas"]["rewrap_keys_100_each"] <= 5_000
