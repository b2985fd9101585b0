"""Deploying is like a migration: it does what is missing, once, and can be stopped anywhere."""

import json
from dataclasses import replace

import pytest

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.config import ContractSpec
from modelward.deployment import apply as applying
from modelward.deployment import deploy, load_deployment, plan, plan_deployment
from modelward.deployment.verify import check_code, masked
from modelward.devchain import DevChain, launch
from modelward.errors import (
    ArtifactDrift,
    CodeMismatch,
    ConfigurationError,
    InsufficientFunds,
    NotDeployed,
    RpcUnavailable,
    UnknownContract,
    UnsafeAccount,
    WrongChain,
)
from modelward.solidity import load_artifact, standard_input

CONTRACTS = ["DataShare", "ModelRegistry", "InferenceEscrow"]


# --- what a deployment does ----------------------------------------------------------------------


def test_everything_is_deployed_and_wired(empty, run):
    deployment, done = run(empty)

    assert done == dict.fromkeys(CONTRACTS, "deploy")
    assert deployment.escrow.data_share() == deployment.addresses["DataShare"]
    assert deployment.escrow.registry() == deployment.addresses["ModelRegistry"]
    for name, address in deployment.addresses.items():
        check_code(empty, load_artifact(name), address)


def test_a_second_run_keeps_everything_and_spends_nothing(empty, run):
    first, _ = run(empty)
    height = empty.head().number
    record = first.path.read_bytes()

    second, done = run(empty)

    assert done == dict.fromkeys(CONTRACTS, "keep")
    assert second.addresses == first.addresses
    assert empty.head().number == height
    assert first.path.read_bytes() == record


def test_the_record_is_named_by_chain_and_genesis_and_kept_where_config_says(empty, run, project):
    deployment, _ = run(empty)

    name = f"31337-{empty.genesis_hash.hex()[:8]}.json"
    assert deployment.path == project.root / "deployments" / "development" / name
    document = json.loads(deployment.path.read_text())
    assert document["chain_id"] == 31337
    assert document["genesis_hash"] == "0x" + empty.genesis_hash.hex()
    assert [contract["name"] for contract in document["contracts"]] == CONTRACTS
    assert "pending" not in document


def test_the_record_says_who_deployed_when_and_from_which_source(empty, run):
    deployment, _ = run(empty, role="owner")

    for name, contract in deployment.record.contracts.items():
        receipt = Sender(empty, Account.development("owner")).receipt(
            bytes.fromhex(contract.transaction[2:])
        )
        assert receipt is not None
        assert (receipt.contract_address, receipt.block_number) == (
            contract.address,
            contract.block,
        )
        assert contract.deployer == Account.development("owner").address
        assert contract.source_hash == load_artifact(name).source_hash
    assert deployment.first_block == deployment.record.contracts["DataShare"].block


def test_the_compiler_input_is_saved_for_block_explorers(empty, run):
    deployment, _ = run(empty)

    for name in CONTRACTS:
        saved = deployment.path.with_suffix("") / f"{name}.json"
        assert json.loads(saved.read_text()) == standard_input(name)


def test_no_draft_is_left_behind(empty, run):
    deployment, _ = run(empty)

    assert not [path.name for path in deployment.path.parent.rglob(".*")]


def test_a_plan_says_what_and_why_and_sends_nothing(empty, project, run):
    steps, _ = plan_deployment(empty, project)

    assert [(step.spec.name, step.action) for step in steps] == [
        (name, "deploy") for name in CONTRACTS
    ]
    assert {step.reason for step in steps} == {"not deployed yet"}
    assert empty.head().number == 0
    assert not (project.root / "deployments").exists()

    deployment, _ = run(empty)
    for step in steps:
        transaction = bytes.fromhex(deployment.record.contracts[step.spec.name].transaction[2:])
        receipt = Sender(empty, Account.development("deployer")).receipt(transaction)
        assert receipt is not None
        assert abs(step.estimate(empty, {}) - receipt.gas_used) < receipt.gas_used // 100


def test_contracts_are_deployed_in_the_order_they_need(empty, run, project):
    backwards = dict(reversed(project.contracts.items()))

    _, done = run(empty, replace(project, contracts=backwards))

    assert list(done)[-1] == "InferenceEscrow"


# --- what has changed ----------------------------------------------------------------------------


@pytest.fixture
def recompiled(monkeypatch):
    """Make a contract's artifact another one, as a new compilation would."""

    def recompile(name):
        old = load_artifact(name)
        # An unreachable byte at the end changes the code and nothing it does.
        new = replace(old, bytecode=old.bytecode + b"\x00")
        for module in (plan, applying):
            monkeypatch.setattr(
                module,
                "load_artifact",
                lambda wanted: new if wanted == name else load_artifact(wanted),
                raising=False,
            )

    return recompile


def test_changed_code_is_replaced_and_so_is_what_refers_to_it(empty, run, project, recompiled):
    before, _ = run(empty)
    recompiled("ModelRegistry")

    steps, _ = plan_deployment(empty, project)
    after, done = run(empty)

    assert done == {"DataShare": "keep", "ModelRegistry": "replace", "InferenceEscrow": "replace"}
    assert {step.spec.name: step.reason for step in steps} == {
        "DataShare": "unchanged",
        "ModelRegistry": "its code has changed",
        "InferenceEscrow": "the address of ModelRegistry changes",
    }
    assert after.addresses["DataShare"] == before.addresses["DataShare"]
    assert after.escrow.registry() == after.addresses["ModelRegistry"]
    assert after.addresses["ModelRegistry"] != before.addresses["ModelRegistry"]


def test_what_was_replaced_stays_on_record(empty, run, recompiled):
    before, _ = run(empty)
    recompiled("ModelRegistry")
    after, _ = run(empty)

    assert [contract.address for contract in after.record.replaced] == [
        before.addresses["ModelRegistry"],
        before.addresses["InferenceEscrow"],
    ]


def test_changed_arguments_are_replaced(empty, run, project):
    run(empty)
    swapped = ContractSpec("InferenceEscrow", ("@ModelRegistry", "@DataShare"))
    changed = replace(project, contracts={**project.contracts, "InferenceEscrow": swapped})

    steps, _ = plan_deployment(empty, changed)

    assert (steps[-1].action, steps[-1].reason) == (
        "replace",
        "its constructor arguments have changed",
    )


def test_a_contract_that_vanished_is_deployed_again(empty, bare, run):
    snapshot = bare.snapshot()
    run(empty)
    bare.revert(snapshot)

    deployment, done = run(empty)

    assert done == dict.fromkeys(CONTRACTS, "deploy")
    assert empty.code(deployment.addresses["DataShare"])


# --- stopped half-way ----------------------------------------------------------------------------


class Stopped(Exception):
    """Stands for the process ending there."""


def stop_at(monkeypatch, moment, occurrence):
    """End the process at the nth time it saves, broadcasts or waits."""
    where = {
        "before saving": (applying, "save_record"),
        "before sending": (Sender, "broadcast"),
        "before waiting": (Sender, "wait"),
    }
    target, name = where[moment]
    original, count = getattr(target, name), 0

    def stopping(*arguments, **options):
        nonlocal count
        count += 1
        if count == occurrence:
            raise Stopped
        return original(*arguments, **options)

    monkeypatch.setattr(target, name, stopping)


@pytest.mark.parametrize(
    ("moment", "occurrence"),
    [
        *(("before saving", n) for n in range(1, 7)),
        *(("before sending", n) for n in range(1, 4)),
        *(("before waiting", n) for n in range(1, 5)),
    ],
)
def test_a_run_stopped_anywhere_is_continued_without_paying_twice(
    empty, run, project, monkeypatch, moment, occurrence
):
    with monkeypatch.context() as patched:
        stop_at(patched, moment, occurrence)
        with pytest.raises(Stopped):
            run(empty)

    deployment, _ = run(empty)

    assert Sender(empty, Account.development("deployer")).nonce() == len(CONTRACTS)
    assert list(deployment.addresses) == CONTRACTS
    assert deployment.record.pending is None
    assert load_deployment(empty, project).addresses == deployment.addresses
    saved = {path.stem for path in deployment.path.with_suffix("").iterdir()}
    assert saved == set(CONTRACTS)


def test_a_pending_step_whose_nonce_was_taken_is_planned_anew(empty, run, monkeypatch):
    with monkeypatch.context() as patched:
        stop_at(patched, "before sending", 2)
        with pytest.raises(Stopped):
            run(empty)
    deployer = Sender(empty, Account.development("deployer"))
    deployer.send(Call(deployer.address, b""))

    deployment, done = run(empty)

    assert done == {"DataShare": "keep", "ModelRegistry": "deploy", "InferenceEscrow": "deploy"}
    assert deployment.record.pending is None


def test_another_account_can_continue(empty, run, monkeypatch):
    with monkeypatch.context() as patched:
        stop_at(patched, "before sending", 2)
        with pytest.raises(Stopped):
            run(empty)

    deployment, _ = run(empty, role="owner")

    deployers = [contract.deployer for contract in deployment.record.contracts.values()]
    first, second = Account.development("deployer").address, Account.development("owner").address
    assert deployers == [first, first, second]


def test_an_unreachable_chain_leaves_the_record_as_it_was(project, run):
    with launch() as anvil:
        network = replace(project.network("local"), url=anvil.url)
        chain = Chain.connect(network)
        deployment, _ = run(chain)
        before = deployment.path.read_bytes()

    with pytest.raises(RpcUnavailable):
        run(chain)
    assert deployment.path.read_bytes() == before


def test_an_account_without_money_deploys_nothing(empty, project):
    with pytest.raises(InsufficientFunds):
        deploy(empty, Account.from_key("pauper", b"\7" * 32), project)

    assert not (project.root / "deployments").exists()


# --- refusals ------------------------------------------------------------------------------------


def test_other_code_at_a_recorded_address_is_refused(empty, run, project):
    deployment, _ = run(empty)
    document = json.loads(deployment.path.read_text())
    share, registry, _ = document["contracts"]
    share["address"], registry["address"] = registry["address"], share["address"]
    deployment.path.write_text(json.dumps(document))

    with pytest.raises(CodeMismatch, match="not that of DataShare") as caught:
        run(empty)
    assert caught.value.exit_code == 1
    with pytest.raises(CodeMismatch):
        load_deployment(empty, project)


def test_immutables_do_not_count_as_a_difference(empty, run):
    deployment, _ = run(empty)
    artifact = load_artifact("InferenceEscrow")
    code = empty.code(deployment.addresses["InferenceEscrow"])

    assert code != artifact.deployed_bytecode
    places = artifact.immutable_references
    assert masked(code, places) == masked(artifact.deployed_bytecode, places)
    assert masked(b"\1\2\3\4", [(1, 2)]) == b"\1\0\0\4"


def test_any_other_difference_counts(empty, run):
    deployment, _ = run(empty)
    artifact = load_artifact("InferenceEscrow")
    tampered = bytes([artifact.deployed_bytecode[0] ^ 1]) + artifact.deployed_bytecode[1:]

    with pytest.raises(CodeMismatch):
        check_code(
            empty,
            replace(artifact, deployed_bytecode=tampered),
            deployment.addresses["InferenceEscrow"],
        )


def test_sources_that_differ_from_the_artifacts_are_not_deployed(empty, run, monkeypatch):
    def drift():
        raise ArtifactDrift("contracts/DataShare.sol has changed")

    monkeypatch.setattr("modelward.deployment.deployment.check_sources", drift)

    with pytest.raises(ArtifactDrift):
        run(empty)
    assert empty.head().number == 0


def test_a_contract_without_artifact_is_refused(empty, run, project):
    unknown = replace(project, contracts={"Nonsense": ContractSpec("Nonsense")})

    with pytest.raises(UnknownContract, match="Nonsense"):
        run(empty, unknown)


@pytest.mark.parametrize("arguments", [(), ("@DataShare",), ("@DataShare", "0x12"), ("x", 5)])
def test_arguments_the_constructor_does_not_take_are_refused(empty, run, project, arguments):
    wrong = replace(
        project,
        contracts={
            **project.contracts,
            "InferenceEscrow": ContractSpec("InferenceEscrow", arguments),
        },
    )

    with pytest.raises(ConfigurationError, match="constructor InferenceEscrow") as caught:
        run(empty, wrong)
    assert caught.value.key == "contracts.InferenceEscrow.arguments"


def test_contracts_that_need_each_others_addresses_are_refused(empty, run, project):
    circle = {
        "DataShare": ContractSpec("DataShare", ("@ModelRegistry",)),
        "ModelRegistry": ContractSpec("ModelRegistry", ("@DataShare",)),
    }

    with pytest.raises(ConfigurationError, match="each other's addresses"):
        run(empty, replace(project, contracts=circle))


def test_a_development_account_deploys_to_no_other_chain(project):
    chain = Chain.connect(
        replace(project.network("embedded"), chain_id=7, development_accounts=False),
        DevChain(7).provider(),
    )

    with pytest.raises(UnsafeAccount):
        deploy(chain, Account.development("deployer"), project)


# --- finding a deployment ------------------------------------------------------------------------


def test_a_deployment_is_found_again(empty, run, project):
    deployment, _ = run(empty)

    found = load_deployment(empty, project)

    assert found.record == deployment.record
    assert found.names[found.escrow.address] == "InferenceEscrow"


def test_where_nothing_was_deployed_there_is_a_way_out(empty, project):
    with pytest.raises(NotDeployed, match="Nothing was deployed") as caught:
        load_deployment(empty, project)
    assert "modelward deploy --network embedded" in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_a_restarted_chain_is_told_from_the_recorded_one(empty, run, project):
    before, _ = run(empty)
    restarted = Chain.connect(project.network("embedded"), DevChain().provider())

    with pytest.raises(WrongChain, match="another genesis") as caught:
        load_deployment(restarted, project)
    assert "restarted" in str(caught.value.hint)

    after, done = run(restarted)
    assert done == dict.fromkeys(CONTRACTS, "deploy")
    assert after.path != before.path
    assert before.path.exists()
    assert load_deployment(restarted, project).addresses == after.addresses


def test_a_record_under_another_chains_name_is_refused(empty, run, project):
    deployment, _ = run(empty)
    restarted = Chain.connect(project.network("embedded"), DevChain().provider())
    name = f"31337-{restarted.genesis_hash.hex()[:8]}.json"
    deployment.path.rename(deployment.path.with_name(name))

    with pytest.raises(WrongChain, match="is of chain 31337 with the genesis"):
        load_deployment(restarted, project)
    with pytest.raises(WrongChain):
        run(restarted)


def test_an_unfinished_deployment_is_not_used(empty, run, project, monkeypatch):
    with monkeypatch.context() as patched:
        stop_at(patched, "before sending", 3)
        with pytest.raises(Stopped):
            run(empty)

    with pytest.raises(NotDeployed, match="InferenceEscrow is missing"):
        load_deployment(empty, project)


def test_a_deployment_of_another_version_is_not_used(empty, run, project, monkeypatch):
    run(empty)
    old = load_artifact("DataShare")
    monkeypatch.setattr(
        "modelward.deployment.deployment.load_artifact",
        lambda _: replace(old, bytecode=old.bytecode + b"\0"),
    )

    with pytest.raises(NotDeployed, match="not the one this version works with"):
        load_deployment(empty, project)


def test_a_deployment_whose_code_is_gone_is_not_used(empty, bare, run, project):
    snapshot = bare.snapshot()
    run(empty)
    bare.revert(snapshot)

    with pytest.raises(NotDeployed, match="There is no code at"):
        load_deployment(empty, project)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "contracts": [{}]}', "\0"]
)
def test_a_damaged_record_is_named_and_not_written_over(empty, run, project, text):
    deployment, _ = run(empty)
    deployment.path.write_text(text)

    for use in (lambda: load_deployment(empty, project), lambda: run(empty)):
        with pytest.raises(ConfigurationError, match="malformed") as caught:
            use()
        assert caught.value.file == deployment.path
    assert deployment.path.read_text() == text


@pytest.mark.slow
def test_anvil_is_deployed_to_through_the_same_code(project, run):
    with launch() as anvil:
        chain = Chain.connect(replace(project.network("local"), url=anvil.url))
        deployment, done = run(chain)
        assert done == dict.fromkeys(CONTRACTS, "deploy")
        assert load_deployment(chain, project).addresses == deployment.addresses
        assert run(chain)[1] == dict.fromkeys(CONTRACTS, "keep")
