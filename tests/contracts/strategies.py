"""Terms of any value, for what must hold of all of them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from modelward.chain.encoding import to_address
from modelward.terms import Metric, ModelId, Offer, Request, Version, VersionId

addresses = st.binary(min_size=20, max_size=20).map(to_address)
hashes = st.binary(min_size=32, max_size=32)
metrics = st.builds(
    Metric,
    name=st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=23),
    higher_is_better=st.booleans(),
    ppm=st.integers(-(2**63), 2**63 - 1),
)
versions = st.builds(
    Version,
    model_id=hashes.map(ModelId),
    bundle_hash=hashes,
    content_hash=hashes,
    manifest_hash=hashes,
    program_hash=hashes,
    evaluation_hash=hashes,
    verifier=addresses,
    verifier_settings=hashes,
    attestor=addresses,
    metrics=st.lists(metrics, max_size=17).map(tuple),
    uri=st.text(max_size=100),
)
offers = st.builds(
    Offer,
    model_id=hashes.map(ModelId),
    version_id=hashes.map(VersionId),
    owner=addresses,
    payee=addresses,
    payee_bps=st.integers(0, 2**16 - 1),
    token=addresses,
    fee=st.integers(0, 2**256 - 1),
    verifier=addresses,
)
requests = st.builds(
    Request,
    requester=addresses,
    payer=addresses,
    worker=addresses,
    input_hash=hashes,
    reply_key=hashes,
    deadline=st.integers(0, 2**40 - 1),
    callback_gas=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 255),
)


def examples(count: int) -> settings:
    """So many examples on one chain, which they share."""
    return settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
