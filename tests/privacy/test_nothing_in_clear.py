"""Markers in data, model, input and result: private mode leaves none of them anywhere in clear.

What is searched is every byte of the chain's database (transactions, receipts, storage), of the
content store, of the worker's home with its journal, and of the logs. The same story in clear is
searched too, and has all of them: the search can find them.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from modelward.chain.encoding import read_bytes
from modelward.sdk.data import DataOwner, fetch_data
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.terms import Right

from .conftest import PRICE

DATA = b"MARKER-IN-THE-DATA"
(COEFFICIENT,) = struct.unpack("<d", b"MODELS\xf0?")
INPUTS = {  # the chain's database keeps what another test has sent
    private: struct.unpack("<d", text + b"\xf0?")[0]
    for private, text in ((True, b"INPUTS"), (False, b"inputs"))
}
INTERCEPTS = {True: 1_234_567.0, False: 2_345_678.0}


@dataclass(frozen=True)
class Story:
    """What was secret, and everything that was left behind."""

    secrets: dict[str, tuple[bytes, ...]]
    left: dict[str, bytes]

    def hits(self) -> set[tuple[str, str]]:
        return {
            (what, where)
            for what, forms in self.secrets.items()
            for where, content in self.left.items()
            if any(form in content for form in forms)
        }


def either_order(value: float) -> tuple[bytes, bytes]:
    return struct.pack("<d", value), struct.pack(">d", value)


def files(*folders: Path) -> bytes:
    return b"\n".join(
        path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    )


def said_and_done(devchain, chain) -> bytes:
    """All of the chain's database, and transactions and logs as its node tells them."""
    database = devchain._node.ledger._chain.chaindb.db.wrapped_db.kv_store
    parts = [part for entry in database.items() for part in entry]
    for number in range(chain.head().number + 1):
        block = chain.rpc("eth_getBlockByNumber", [hex(number), True])
        for transaction in block["transactions"]:
            parts.append(read_bytes(transaction["input"]))
            receipt = chain.rpc("eth_getTransactionReceipt", [transaction["hash"]])
            parts += [read_bytes(log["data"]) for log in receipt["logs"]]
    return b"\n".join(parts)


@pytest.fixture
def tell(owner, requester, acting_as, work, devchain, chain, tmp_path, caplog):
    """Tell the story: share a file, publish a model, have it predict; in private or in clear."""

    def tell(*, private: bool) -> Story:
        caplog.set_level(logging.DEBUG)
        for role in ("worker", "requester"):
            EncryptionKeys(acting_as(role)).register()
        file = tmp_path / "file"
        file.write_bytes(DATA * 1000)
        if private:
            sharer = DataOwner(owner.connection)
            sharer.publish(file, "data")
            sharer.grant("requester", "data")
            fetch_data(acting_as("requester"), "owner", "data", tmp_path / "fetched")
            assert (tmp_path / "fetched").read_bytes() == file.read_bytes()
        else:
            owner.connection.store.put_file(file)

        inputs = pd.DataFrame({"x": np.linspace(-5, 5, 60)})
        estimator = LinearRegression().fit(inputs, inputs["x"])
        estimator.coef_, estimator.intercept_ = np.array([COEFFICIENT]), INTERCEPTS[private]
        owner.publish(
            estimator, inputs, estimator.predict(inputs), name="line", price=PRICE, private=private
        )
        owner.grant("requester", "line", Right.INFER)
        owner.grant("worker", "line", Right.SERVE)
        placed = requester.send("owner/line", {"x": INPUTS[private]}, clear=not private)
        work()
        result = requester.result(placed.id)
        unit = result.prediction.units[0]
        output = unit.to_bytes((unit.bit_length() + 7) // 8, "big")
        assert len(output) >= 5
        [kept] = requester.list()
        return Story(
            secrets={
                "data": (DATA,),
                "model": either_order(COEFFICIENT),
                "input": (*either_order(INPUTS[private]), kept.record.canonical_input),
                "secret": (kept.record.secret,),
                "result": (output, str(result.prediction).encode()),
            },
            left={
                "chain": said_and_done(devchain, chain),
                "store": files(tmp_path / "store"),
                "worker": files(tmp_path / "worker"),
                "logs": caplog.text.encode(),
            },
        )

    return tell


def test_in_private_mode_nothing_secret_is_anywhere(tell):
    story = tell(private=True)
    assert all(len(content) > 100 for content in story.left.values())
    assert story.hits() == set()


def test_in_clear_the_search_finds_all_of_it(tell):
    assert tell(private=False).hits() >= {
        ("data", "store"),
        ("model", "store"),
        ("input", "chain"),
        ("secret", "chain"),
        ("result", "chain"),
        ("input", "worker"),
        ("result", "worker"),
    }
