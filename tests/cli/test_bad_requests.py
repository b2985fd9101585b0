"""What `modelward request` cannot use: one clear sentence, the exit code, and nothing lost."""

from __future__ import annotations

import json

import pytest

from tests.market import MODEL


@pytest.fixture
def row(breast_cancer):
    return breast_cancer.inputs.iloc[0].to_dict()


@pytest.fixture
def write(project):
    """Write a file into the project, text or bytes."""

    def write(name, content):
        data = content.encode() if isinstance(content, str) else content
        (project / name).write_bytes(data)
        return name

    return write


@pytest.fixture
def good(write, row):
    return write("good.json", json.dumps(row))


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


# --- the model -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("owner/breast-cancr", "owner has no model 'breast-cancr' on 'local'."),
        ("owner/breast-cancer@9", "owner/breast-cancer has no version 9."),
        ("owner/breast-cancer@0x1234", "owner/breast-cancer has no version 0x1234."),
        ("nobody/breast-cancer", "No account is called 'nobody' on 'local'."),
        ("breast-cancer", "'breast-cancer' is not a model reference."),
        ("owner/breast-cancer@newest", "is not a model reference."),
    ],
)
def test_an_unknown_model_or_version(refused, good, model, sentence):
    refused(2, sentence, "request", "send", model, "--input", good)


# --- the price -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--fee", "0.0009 ether"), "The fee of 0.0009 ether is below the price, 0.001 ether."),
        (("--fee", "0.002 ether"), "The fee of 0.002 ether is above the price, 0.001 ether."),
        (("--max-fee", "1 gwei"), "The price, 0.001 ether, is above the 1 gwei"),
        (("--fee", "much"), "'much' is not an amount of money."),
        (("--fee", "0.5 wei"), "'0.5 wei' is finer than a wei."),
        (("--fee", "1 dollar"), "'1 dollar' is not an amount of money."),
    ],
)
def test_a_fee_that_is_not_the_price(refused, good, option, sentence):
    refused(2, sentence, "request", "send", MODEL, "--input", good, *option)


# --- the deadline --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deadline", "sentence"),
    [
        ("2020-01-01T00:00Z", "The deadline passed"),
        ("2d", "requests to this model may wait 24 h at most."),
        ("2999-01-01", "requests to this model may wait 24 h at most."),
        ("tomorrow", "'tomorrow' is not a moment."),
        ("-5m", "'-5m' is not a moment."),
    ],
)
def test_a_deadline_in_the_past_or_beyond_the_bound(refused, good, deadline, sentence):
    refused(2, sentence, "request", "send", MODEL, "--input", good, f"--deadline={deadline}")


# --- the input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda row: without(row, "mean radius"), "The input lacks 'mean radius'."),
        (lambda row: {**row, "size": 1}, "has 'size', which the model does not know."),
        (lambda row: list(row.values())[1:], "has 29 values, the model takes 30"),
        (lambda row: [*row.values(), 1], "has 31 values, the model takes 30"),
        (lambda row: {**row, "mean radius": "wide"}, "'mean radius' must be a number"),
        (lambda row: {**row, "mean radius": True}, "'mean radius' must be a number"),
        (lambda row: {**row, "mean radius": None}, "'mean radius' is missing."),
        (lambda row: {**row, "mean radius": float("nan")}, "'mean radius' must be a finite number"),
        (lambda row: {**row, "mean radius": float("inf")}, "'mean radius' must be a finite number"),
        (lambda row: {**row, "mean radius": 1e6}, "'mean radius' is 1000000.0, outside its"),
        (lambda row: [row, row], "holds 2 rows; one is wanted."),
    ],
    ids=[
        "a name missing", "an unknown name", "too few", "too many", "text", "a boolean", "null",
        "NaN", "infinity", "out of range", "two rows",
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit_the_model(refused, write, row, change, sentence):
    file = write("row.json", json.dumps(change(row)))
    refused(2, sentence, "request", "send", MODEL, "--input", file)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("row.json", "mean radius,mean texture\n1,2\n", "row.json is not valid JSON"),
        ("row.json", '{"mean radius": 1, "mean radius": 2}', "'mean radius' appears twice"),
        ("row.json", "7", "must hold an object"),
        ("row.csv", '{"mean radius": 1}', "row.csv holds JSON, not CSV."),
        ("row.csv", "mean radius\n1\n2\n", "holds 2 rows; one is wanted."),
        ("row.csv", "mean radius\n", "row.csv holds no rows."),
        ("row.csv", "mean radius,mean radius\n1,2\n", "names a column twice"),
        ("row.csv", "mean radius,mean texture\n1\n", "has 1 cells, its header 2."),
        ("row.csv", b"\x89PNG\r\n\x1a\n\0\0", "row.csv is a binary file"),
        ("row.json", b"\xff\xfe{", "is not text in UTF-8"),
        ("row", "", "row is empty."),
        ("row.json", "[" * 100_000, "row.json is nested too deeply."),
    ],
)
def test_a_file_that_is_not_what_it_says(refused, write, name, content, sentence):
    file = write(name, content)
    refused(2, sentence, "request", "send", MODEL, "--input", file)


def test_a_file_that_is_not_there(refused):
    refused(2, "absent.json cannot be read", "request", "send", MODEL, "--input", "absent.json")


def test_a_folder_instead_of_a_file(refused, project):
    refused(2, "cannot be read: Is a directory.", "request", "send", MODEL, "--input", project)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Give the row either with --input or with --set."),
        (("--input", "good.json", "--set", "mean radius=1"), "either with --input or with --set."),
        (("--set", "mean radius"), "'mean radius' assigns nothing."),
        (("--set", "a=1", "--set", "a=2"), "'a' is given twice."),
        (("--set", "mean radius=1"), "The input lacks"),
    ],
)
@pytest.mark.usefixtures("good")
def test_a_row_that_is_not_given_or_given_twice(refused, options, sentence):
    refused(2, sentence, "request", "send", MODEL, *options)


# --- access and money ----------------------------------------------------------------------------


def test_an_account_without_a_grant_is_refused(refused, good):
    refused(
        3, "there is no grant.", "request", "send", MODEL, "--input", good, "--account", "outsider"
    )


def test_an_account_that_cannot_pay(refused, good, market):
    market.connection().chain.rpc(
        "anvil_setBalance", [market.connection("requester").address, "0x1"]
    )
    refused(3, "cannot pay for this transaction", "request", "send", MODEL, "--input", good)


# --- the store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("damage", "code", "sentence"), [
    (lambda file: file.write_bytes(file.read_bytes() + b" "), 1, "has the hash"),
    (lambda file: file.unlink(), 4, "The manifest of breast-cancer@1 is not in"),
], ids=["tampered with", "lost"])  # fmt: skip
def test_a_manifest_that_cannot_be_trusted_or_had(refused, good, market, damage, code, sentence):
    pinned = market.published.version.version.manifest_hash.hex()
    [file] = market.store.rglob(pinned)
    damage(file)
    refused(code, sentence, "request", "send", MODEL, "--input", good)


@pytest.mark.parametrize(("damage", "code", "sentence"), [
    (lambda file: file.write_bytes(file.read_bytes() + b" "), 1, "has the hash"),
    (lambda file: file.unlink(), 4, "The bundle of breast-cancer@1 is not in"),
], ids=["tampered with", "lost"])  # fmt: skip
def test_a_bundle_that_cannot_be_trusted_or_had(
    refused, requester, worker, row, market, monkeypatch, damage, code, sentence
):
    placed = requester.send(MODEL, row)
    worker.answer(placed.id)
    nowhere_else: frozenset[str] = frozenset()
    monkeypatch.setattr("modelward.content.references.FOLLOWED_SCHEMES", nowhere_else)
    pinned = market.published.version.version.bundle_hash.hex()
    [file] = market.store.rglob(pinned)
    damage(file)
    refused(code, sentence, "request", "verify", f"0x{placed.id.hex()}")


# --- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["show", "verify", "timeline", "refund"])
@pytest.mark.parametrize(
    ("request_id", "sentence"),
    [
        ("mine", "'mine' is not a request's id."),
        ("0x", "'0x' is not a request's id."),
        ("0x12", "None of your requests begin with 0x12."),
        ("0x" + 64 * "1", "request 0x1111"),
    ],
)
def test_a_request_that_is_unknown(refused, verb, request_id, sentence):
    refused(2, sentence, "request", verb, request_id)


def test_a_refund_before_the_deadline(refused, requester, row):
    placed = requester.send(MODEL, row)
    refused(3, "may still be answered until", "request", "refund", f"0x{placed.id.hex()}")


def test_a_second_refund(refused, requester, row, market):
    placed = requester.send(MODEL, row, delay=60)
    market.devchain.increase_time(61)
    requester.refund(placed.id)
    refused(3, "is not open: it was refunded.", "request", "refund", f"0x{placed.id.hex()}")


def test_a_withdrawal_of_nothing(refused):
    refused(3, "is owed nothing.", "account", "withdraw", "--account", "outsider")


def test_a_record_that_was_damaged_is_named_and_left_alone(refused, requester, row, market):
    requester.send(MODEL, row)
    [file] = (market.home / "requests").iterdir()
    file.write_text("{}", encoding="utf-8")
    refused(4, f"{file} is not a RequestRecord of this version.", "request", "list")
