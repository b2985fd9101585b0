"""What may stand in deploy.toml, and what is said when something else does."""

from pathlib import Path

import pytest

from modelward.config import Config, Policy, TokenPrice, load_config, starter
from modelward.errors import ConfigurationError
from modelward.terms import Address

NETWORK = '[networks.main]\nurl = "https://rpc.example"\nchain_id = 5\n'
TOKEN = "0x" + 40 * "a"


@pytest.fixture
def read(tmp_path):
    def read_text(text: str, **environ: str) -> Config:
        file = tmp_path / "deploy.toml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, environ={"MODELWARD_HOME": str(tmp_path / "home"), **environ})

    return read_text


def test_the_repository_uses_the_starter_file(repository):
    assert (repository / "deploy.toml").read_text(encoding="utf-8") == starter()


def test_the_starter_configures_all_contracts_and_a_local_network(read):
    config = read(starter())

    assert list(config.contracts) == [
        "DataShare",
        "ModelRegistry",
        "InferenceEscrow",
        "ExactPrograms",
        "ExactReferee",
        "PrivacyLedger",
    ]
    assert config.contracts["InferenceEscrow"].references == ("DataShare", "ModelRegistry")
    local = config.network()
    assert (local.name, local.url) == ("local", "http://127.0.0.1:8545")
    assert (local.chain_id, local.confirmations, local.development_accounts) == (31337, 1, True)
    assert config.network("embedded").in_process


def test_the_starter_holds_no_key_and_no_address():
    assert not any(len(word) >= 40 for word in starter().replace('"', " ").split())


def test_a_network_has_careful_defaults(read):
    network = read(NETWORK).network("main")

    assert network.finality == "depth"
    assert network.confirmations == 1
    assert network.max_fee_per_gas is None
    assert not network.development_accounts


@pytest.mark.parametrize(
    ("written", "wei"),
    [
        ('"100 gwei"', 100 * 10**9),
        ('"1.5 gwei"', 1_500_000_000),
        ("2000000000", 2_000_000_000),
        ('"7 wei"', 7),
    ],
)
def test_a_fee_cap_is_whole_wei(read, written, wei):
    cap = read(f"{NETWORK}max_fee_per_gas = {written}").network("main").max_fee_per_gas

    assert cap == wei
    assert isinstance(cap, int)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("networks", ""),
        ("netwoks", 'netwoks = 1\n[networks.a]\nurl = "http://x"\nchain_id = 1'),
        ("networks.main.chain_id", '[networks.main]\nurl = "http://x"'),
        ("networks.main", "[networks.main]\nchain_id = 1"),
        ("networks.main", '[networks.main]\nin_process = true\nurl = "http://x"\nchain_id = 1'),
        ("networks.main.chain_id", '[networks.main]\nurl = "http://x"\nchain_id = "1"'),
        ("networks.main.chain_id", '[networks.main]\nurl = "http://x"\nchain_id = true'),
        ("networks.main.chain_id", '[networks.main]\nurl = "http://x"\nchain_id = 0'),
        ("networks.main.url", '[networks.main]\nurl = "ftp://x"\nchain_id = 1'),
        ("networks.main.url", '[networks.main]\nurl = "https://"\nchain_id = 1'),
        ("networks.main.url", '[networks.main]\nurl = "http://x:99999"\nchain_id = 1'),
        ("networks.main.url", "[networks.main]\nurl = 3\nchain_id = 1"),
        ("networks.main.confirmations", NETWORK + "confirmations = 0"),
        ("networks.main.finality", NETWORK + 'finality = "soon"'),
        ("networks.main.accounts", NETWORK + 'accounts = "0xac09"'),
        ("networks.main.max_fee_per_gas", NETWORK + 'max_fee_per_gas = "1.0000000001 gwei"'),
        ("networks.main.max_fee_per_gas", NETWORK + 'max_fee_per_gas = "-1 gwei"'),
        ("networks.main.max_fee_per_gas", NETWORK + "max_fee_per_gas = 1.5"),
        ("networks.main.log_range", NETWORK + "log_range = -1"),
        ("networks.main.timeout", NETWORK + "timeout = 0"),
        ("networks.main.confirmation", NETWORK + "confirmation = 3"),
        ("networks.'a b'", '[networks."a b"]\nurl = "http://x"\nchain_id = 1'),
        ("default_network", 'default_network = "other"\n' + NETWORK),
        ("contracts.A.arguments", NETWORK + '[contracts.A]\narguments = ["@B"]'),
        ("contracts.A.arguments", NETWORK + "[contracts.A]\narguments = [1.5]"),
        ("contracts.A.arguments", NETWORK + '[contracts.A]\narguments = "@B"'),
        ("contracts.A.address", NETWORK + '[contracts.A]\naddress = "0x00"'),
        ("accounts.me", NETWORK + '[accounts]\nme = "not a name"'),
        ("accounts.me", NETWORK + "[accounts]\nme = 5"),
        ("store.uri", NETWORK + '[store]\nuri = "x"'),
        ("store.url", NETWORK + '[store]\nurl = ""'),
        ("store.gateway", NETWORK + '[store]\ngateway = "s3://bucket"'),
        ("store.gateway", NETWORK + '[store]\ngateway = "https://"'),
        ("store.gateway", NETWORK + "[store]\ngateway = 8600"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file_and_key(read, tmp_path, key, text):
    with pytest.raises(ConfigurationError) as caught:
        read(text)

    assert caught.value.key == key
    assert caught.value.file == tmp_path / "deploy.toml"
    assert f"`{key}`" in caught.value.message
    assert str(tmp_path / "deploy.toml") in caught.value.message


def test_a_misspelt_key_is_answered_with_the_one_meant(read):
    with pytest.raises(ConfigurationError) as caught:
        read(NETWORK + "confirmation = 3")

    assert caught.value.hint == "Did you mean 'confirmations'?"


def test_broken_toml_is_named_with_its_line(read):
    with pytest.raises(ConfigurationError, match="line 2"):
        read("[networks.main]\nurl = \n")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    file = tmp_path / "deploy.toml"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_config(file, environ={})


def test_a_file_that_is_not_there_is_refused_with_a_way_out(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load_config(tmp_path / "missing.toml", environ={})

    assert "modelward init" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('url = "s3://bucket/models"', "s3://bucket/models"),
        ('url = "/srv/models"', "file:///srv/models"),
        ('url = "file:///srv/models"', "file:///srv/models"),
        ('url = "bundles"', "file://{root}/bundles"),
        ("", "file://{root}/.modelward/store"),
    ],
)
def test_the_store_is_a_url_and_paths_are_relative_to_the_file(read, tmp_path, written, expected):
    config = read(f"{NETWORK}[store]\n{written}")

    assert config.store_url == expected.format(root=tmp_path)


def test_a_store_may_have_a_gateway(read):
    assert read(NETWORK).gateway_url is None
    written = '[store]\ngateway = "https://gateway.test:8600"'
    assert read(f"{NETWORK}{written}").gateway_url == "https://gateway.test:8600"


def test_accounts_name_keystores_by_address_or_name(read):
    config = read(f'{NETWORK}[accounts]\npublisher = "0x{40 * "1"}"\nme = "alice"')

    assert config.accounts == {"publisher": f"0x{40 * '1'}", "me": "alice"}


def test_a_configuration_cannot_be_changed(read):
    config = read(NETWORK)

    with pytest.raises(AttributeError):
        config.root = Path()
    with pytest.raises(TypeError):
        config.networks["main"] = None


WORKER = """
[worker]
min_pay = "0.0001 ether"
refusal_budget = 0
max_requests = 7
allow_loss = true

[worker.tokens]
"0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48" = { price = "0.0003 ether", decimals = 6 }
"""


def test_a_worker_takes_on_what_its_table_says_and_the_usual_otherwise(read):
    policy = read(NETWORK + WORKER).worker

    price = TokenPrice(3 * 10**14, 6)
    assert policy == Policy(
        min_pay=10**14,
        refusal_budget=0,
        max_requests=7,
        allow_loss=True,
        tokens={Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"): price},
    )
    assert price.worth(1_500_000) == 45 * 10**13
    assert read(NETWORK).worker == Policy()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("worker.min_pay", 'min_pay = "a lot"'),
        ("worker.refusal_budget", "refusal_budget = -1"),
        ("worker.margin", "margin = 0"),
        ("worker.allow_loss", 'allow_loss = "yes"'),
        ("worker.min_fee", "min_fee = 1"),
        ('worker.tokens."USDC"', "tokens.USDC = {}"),
        (f'worker.tokens."{TOKEN}".price', f"tokens.{TOKEN} = {{ decimals = 6 }}"),
        (f'worker.tokens."{TOKEN}".decimals', f"tokens.{TOKEN} = {{ price = 1, decimals = 78 }}"),
    ],
)
def test_a_wrong_entry_of_the_worker_is_named(read, key, text):
    with pytest.raises(ConfigurationError) as caught:
        read(f"{NETWORK}[worker]\n{text}\n")
    assert caught.value.key == key
