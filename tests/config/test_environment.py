"""Where the configuration comes from: the file found, the environment, the built-in default."""

import pytest

from modelward.config import load_config, starter
from modelward.errors import ConfigurationError, UnknownNetwork

KEYED = """
[networks.main]
url = "https://user:hunter2@rpc.example/v3/${RPC_KEY}?token=hunter2"
chain_id = 5
[networks.spare]
url = "http://127.0.0.1:9545"
chain_id = 5
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    (tmp_path / "project" / "deploy.toml").write_text(KEYED, encoding="utf-8")
    return tmp_path / "project"


def test_the_nearest_file_upwards_is_read(project):
    config = load_config(environ={}, start=project / "notebooks")

    assert config.path == project / "deploy.toml"
    assert config.root == project


def test_the_environment_can_name_the_file_or_its_directory(project, tmp_path):
    for named in (project, project / "deploy.toml"):
        config = load_config(environ={"MODELWARD_CONFIG": str(named)}, start=tmp_path)
        assert config.path == project / "deploy.toml"


def test_a_named_file_is_preferred_to_the_environment(project, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(starter(), encoding="utf-8")

    config = load_config(other, environ={"MODELWARD_CONFIG": str(project)}, start=project)

    assert config.path == other


def test_without_any_file_the_starter_applies_and_files_go_home(tmp_path):
    config = load_config(environ={"MODELWARD_HOME": str(tmp_path / "home")}, start=tmp_path)

    assert config.path is None
    assert config.source == "the built-in deploy.toml"
    assert config.network().name == "local"
    assert config.root == tmp_path / "home"
    assert config.store_url == (tmp_path / "home" / "store").as_uri()


def test_home_is_in_the_users_directory_unless_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert load_config(environ={}, start=tmp_path).home == tmp_path / ".modelward"


def test_keystores_and_journals_are_under_home(tmp_path):
    config = load_config(environ={"MODELWARD_HOME": str(tmp_path)}, start=tmp_path)

    assert config.keystore_directory == tmp_path / "keystore"
    assert config.journal_directory == tmp_path / "journal"


def test_records_of_development_chains_are_kept_apart(project):
    config = load_config(environ={}, start=project)

    assert config.deployments_directory(31337) == project / "deployments" / "development"
    assert config.deployments_directory(1) == project / "deployments"


def test_the_environment_names_network_and_account(project):
    environ = {"MODELWARD_NETWORK": "spare", "MODELWARD_ACCOUNT": "alice"}

    config = load_config(environ=environ, start=project)

    assert config.network().name == "spare"
    assert config.default_account == "alice"


def test_a_url_takes_its_secret_from_the_environment(project):
    network = load_config(environ={"RPC_KEY": "s3cret"}, start=project).network("main")

    assert network.url == "https://user:hunter2@rpc.example/v3/s3cret?token=hunter2"


def test_no_secret_of_a_url_is_shown(project):
    config = load_config(environ={"RPC_KEY": "s3cret"}, start=project)
    network = config.network("main")

    assert network.safe_url == "https://rpc.example"
    for shown in (repr(network), repr(config)):
        assert "s3cret" not in shown
        assert "hunter2" not in shown


def test_a_secret_is_missed_only_by_the_network_that_needs_it(project):
    config = load_config(environ={}, start=project)

    assert config.network("spare").chain_id == 5
    with pytest.raises(ConfigurationError, match="RPC_KEY is not set") as caught:
        config.network("main")
    assert caught.value.key == "networks.main.url"


def test_an_unknown_network_is_answered_with_the_nearest_name(project):
    config = load_config(environ={}, start=project)

    with pytest.raises(UnknownNetwork) as caught:
        config.network("mian")
    assert caught.value.hint == "Did you mean 'main'?"
    assert caught.value.exit_code == 2


def test_an_unknown_network_like_no_other_is_answered_with_the_known_ones(project):
    with pytest.raises(UnknownNetwork) as caught:
        load_config(environ={"MODELWARD_NETWORK": "zzz"}, start=project).network()
    assert "main, spare" in str(caught.value.hint)


def test_the_password_comes_from_the_environment_or_from_a_file(project, tmp_path):
    file = tmp_path / "password"
    file.write_text("of the file\n", encoding="utf-8")
    by_file = {"MODELWARD_PASSWORD_FILE": str(file)}

    assert load_config(environ={}, start=project).password is None
    assert load_config(environ=by_file, start=project).password == "of the file"
    both = load_config(environ=by_file | {"MODELWARD_PASSWORD": "direct"}, start=project)
    assert both.password == "direct"
    assert "direct" not in repr(both)


def test_a_password_file_that_cannot_be_read_is_named(project, tmp_path):
    missing = tmp_path / "missing"

    config = load_config(environ={"MODELWARD_PASSWORD_FILE": str(missing)}, start=project)

    with pytest.raises(ConfigurationError, match=str(missing)):
        _ = config.password


def test_several_urls_are_asked_in_their_order(tmp_path):
    (tmp_path / "deploy.toml").write_text(
        '[networks.main]\nurl = ["https://one.example", "https://two.example/${KEY}"]\nchain_id = 5'
    )
    network = load_config(environ={"KEY": "hunter2"}, start=tmp_path).network("main")

    assert network.url == "https://one.example"
    assert network.urls == ("https://one.example", "https://two.example/hunter2")
    assert "hunter2" not in repr(network)


def test_the_environment_replaces_the_urls_of_a_network(project):
    environ = {"MODELWARD_RPC_SPARE": "http://127.0.0.1:1  http://127.0.0.1:2"}
    config = load_config(environ=environ, start=project)

    assert config.network("spare").urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")


@pytest.mark.parametrize("urls", ["[]", '["https://one.example", 3]', '["ftp://one.example"]'])
def test_urls_that_cannot_be_used_are_refused(tmp_path, urls):
    (tmp_path / "deploy.toml").write_text(f"[networks.main]\nurl = {urls}\nchain_id = 5")

    with pytest.raises(ConfigurationError) as caught:
        load_config(environ={}, start=tmp_path)
    assert caught.value.key == "networks.main.url"
