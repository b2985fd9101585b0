import json

import pytest

from modelward import cli
from modelward.bench import gas
from modelward.bench.anchors import ANCHORS
from modelward.errors import CheckFailed, SnapshotDrift
from modelward.solidity import artifact_names, load_artifact


def test_the_figures_are_the_committed_ones(measured, repository):
    gas.check(measured, repository / "tests" / "snapshots" / "gas.json")


def test_no_figure_grows_with_the_number_of_open_requests_and_grants(measured):
    assert gas.differences(gas.measure(crowd=300), measured) == []


def test_every_function_that_changes_state_is_measured():
    functions = {
        f"{name}.{entry['name']}"
        for name in artifact_names()
        for entry in load_artifact(name).abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }

    assert {work.function for work in gas.WORKS} == functions


def test_every_contract_is_measured_as_it_is_deployed(measured):
    deployed = {key for key in measured if key.startswith("deploy_")}

    assert len(deployed) == len(artifact_names())


def test_a_request_and_its_answer_are_added_up(measured):
    assert measured["request_plus_fulfil"] == measured["request"] + measured["fulfil"]


def test_every_anchor_is_for_something_measured(measured):
    assert ANCHORS.keys() <= measured.keys()


class TestCheck:
    @pytest.fixture
    def snapshot(self, tmp_path):
        path = tmp_path / "figures" / "gas.json"
        gas.write({"request": 70_000, "refund": 30_000, "old": 1}, path)
        return path

    def test_it_accepts_what_was_written(self, snapshot):
        gas.check({"request": 70_000, "refund": 30_000, "old": 1}, snapshot)

    def test_it_says_what_moved_and_by_how_much(self, snapshot):
        with pytest.raises(SnapshotDrift) as drift:
            gas.check({"request": 71_234, "refund": 29_999, "new": 2}, snapshot)

        assert drift.value.message == (
            "Gas has moved: request 70,000 -> 71,234 (+1,234); refund 30,000 -> 29,999 (-1); "
            "new is new (2); old is gone."
        )
        assert isinstance(drift.value, CheckFailed)

    @pytest.mark.parametrize("content", [None, "", "{"])
    def test_it_says_that_there_is_nothing_to_compare_with(self, tmp_path, content):
        path = tmp_path / "gas.json"
        if content is not None:
            path.write_text(content)

        with pytest.raises(SnapshotDrift, match="no snapshot"):
            gas.check({"request": 1}, path)


class TestTheCommand:
    def test_it_prints_json_and_another_run_agrees_to_the_unit(self, measured, capsys):
        assert cli.main(["bench", "gas", "--json", "--crowd", "2"]) == 0

        document = json.loads(capsys.readouterr().out)
        assert document == {"gas": measured, "crowd": 2, "gas_in_the_crowd": measured}

    def test_it_prints_a_table_beside_the_figures_of_others(self, measured, capsys, tmp_path):
        path = tmp_path / "gas.json"

        assert cli.main(["bench", "gas", "--write", "--snapshot", str(path), "--crowd", "1"]) == 0

        printed = capsys.readouterr().out
        assert f"{measured['request']:,}  request " in printed
        assert "Chainlink Operator" in printed
        assert json.loads(path.read_text()) == measured

    def test_with_check_it_fails_where_a_figure_is_another(self, measured, capsys, tmp_path):
        path = tmp_path / "gas.json"
        gas.write(measured | {"refund": measured["refund"] - 7}, path)

        assert cli.main(["bench", "gas", "--check", "--snapshot", str(path)]) == 1

        streams = capsys.readouterr()
        assert streams.out == ""
        assert "(+7)" in streams.err

    def test_it_does_not_check_what_it_writes(self):
        assert cli.main(["bench", "gas", "--check", "--write"]) == 2
