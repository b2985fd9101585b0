"""What an owner publishes is gated, stored by hash, registered, and published once."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelward.commitments import model_id, version_id
from modelward.errors import (
    ContentMissing,
    InvalidTerms,
    PredictionFailed,
    StoreUnavailable,
    ThresholdNotMet,
    UnfittedEstimator,
    UnsupportedEstimator,
)
from modelward.models.bundle import open_bundle
from modelward.sdk import Catalogue, Owner
from modelward.terms import GWEI, VersionStatus
from tests.market import MODEL, PRICE


@pytest.fixture
def publish(owner, breast_cancer):
    """Publish the market's own estimator, with changes."""

    def publish(**changes):
        arguments = {"name": "breast-cancer", "price": PRICE, "private": False, **changes}
        estimator = arguments.pop("estimator", breast_cancer.estimator)
        inputs = arguments.pop("inputs", breast_cancer.inputs)
        labels = arguments.pop("labels", breast_cancer.labels)
        return owner.publish(estimator, inputs, labels, **arguments)

    return publish


@pytest.fixture
def nonce(owner):
    """How many transactions the owner has sent."""
    return owner.connection.sender.nonce


def test_the_version_is_servable_and_pins_what_is_in_the_store(market, connection):
    version = Catalogue(connection).version(MODEL)
    assert version.status is VersionStatus.SERVABLE
    assert version.reference == market.published.reference
    assert version.id == version_id(version.version)
    bundle = open_bundle(
        Catalogue(connection).bundle(version),
        version.version.bundle_hash,
        version.version.manifest_hash,
    )
    assert bundle.manifest == Catalogue(connection).manifest(version)


def test_metrics_are_those_of_the_held_out_rows(market, breast_cancer):
    accuracy = breast_cancer.estimator.score(breast_cancer.inputs, breast_cancer.labels)
    recorded = {metric.name: metric.ppm for metric in market.published.metrics}
    assert recorded["accuracy"] == round(accuracy * 1_000_000)


def test_publishing_the_same_again_sends_nothing(market, publish, nonce):
    before = nonce()
    again = publish()
    assert (again.changes, again.receipts) == ((), ())
    assert again.version.id == market.published.version.id
    assert nonce() == before


def test_a_clone_fitted_on_the_same_rows_is_the_same_version(market, publish, breast_cancer):
    from modelward.models.estimators import dump_estimator, load_estimator

    reloaded = load_estimator(dump_estimator(breast_cancer.estimator))
    assert publish(estimator=reloaded).version.id == market.published.version.id


@pytest.mark.parametrize("change", ["estimator", "rows", "ranges"])
def test_whatever_differs_makes_another_version(change, market, publish, breast_cancer):
    changes = {
        "estimator": lambda: {
            "estimator": make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(
                breast_cancer.inputs, breast_cancer.labels
            )
        },
        "rows": lambda: {
            "inputs": breast_cancer.inputs[:-1],
            "labels": breast_cancer.labels[:-1],
        },
        "ranges": lambda: {"ranges": {"mean radius": (0.0, 50.0)}},
    }[change]()
    second = publish(**changes)
    assert second.changes == ("published a version",)
    assert second.version.number == 2
    assert second.version.id != market.published.version.id


def test_new_terms_are_set_and_said(market, publish):
    changed = publish(price=2 * PRICE, payee_bps=2_500, max_delay=3_600, open=True, payee="sponsor")
    assert changed.changes == (
        "changed terms: price 0.001 ether to 0.002 ether, payee's share 50 % to 25 %, "
        "longest delay 86400 s to 3600 s, now open to everybody, "
        "payee the owner to 0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
    )
    assert changed.version.id == market.published.version.id


def test_terms_not_given_stay_as_they_are(owner, publish):
    publish(payee_bps=2_500, max_delay=3_600, open=True)
    publish(price=3 * PRICE)
    terms = Catalogue(owner.connection).model(MODEL).state.terms
    assert (terms.fee, terms.payee_bps, terms.max_delay, terms.open) == (
        3 * PRICE,
        2_500,
        3_600,
        True,
    )


def test_a_stricter_threshold_is_raised_and_said(owner, publish):
    raised = publish(thresholds={"accuracy": 0.95, "log_loss": 0.1})
    assert raised.changes == ("raised thresholds: accuracy 0.95, log_loss 0.1",)
    thresholds = {m.name: m.ppm for m in Catalogue(owner.connection).model(MODEL).thresholds}
    assert thresholds == {"accuracy": 950_000, "log_loss": 100_000}


def test_a_laxer_threshold_is_refused_before_anything_is_sent(publish, nonce):
    before = nonce()
    with pytest.raises(InvalidTerms, match=r"accuracy is 0\.9 and can only be made stricter"):
        publish(thresholds={"accuracy": 0.5})
    assert nonce() == before


def test_a_model_below_its_threshold_is_not_sent(market, publish, nonce):
    before, stored = nonce(), files(market.store)
    with pytest.raises(ThresholdNotMet, match=r"accuracy is 0\.98, below 0\.999"):
        publish(name="too-good", thresholds={"accuracy": 0.999})
    assert nonce() == before
    assert files(market.store) == stored


def test_a_model_below_a_threshold_set_earlier_is_not_sent(publish, nonce, breast_cancer):
    worse = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        breast_cancer.inputs, breast_cancer.labels[::-1]
    )
    before = nonce()
    with pytest.raises(ThresholdNotMet, match=r"below 0\.9"):
        publish(estimator=worse)
    assert nonce() == before


def test_publishing_goes_on_where_it_was_interrupted(publish, owner, monkeypatch):
    send = owner.connection.send
    calls = []

    def fail_at_the_second(call):
        calls.append(call)
        if len(calls) == 2:
            raise ConnectionError
        return send(call)

    with monkeypatch.context() as patch:
        patch.setattr(type(owner.connection), "send", lambda _, call: fail_at_the_second(call))
        with pytest.raises(ConnectionError):
            publish(name="interrupted")
    model = model_id(owner.address, "interrupted").hex()
    [record] = [
        path.read_text()
        for path in (owner.connection.config.home / "publications").iterdir()
        if model in path.read_text()
    ]
    resumed = publish(name="interrupted")
    assert resumed.changes == ("published a version",)
    assert resumed.version.version.bundle_hash.hex() in record


def test_a_version_whose_bundle_was_lost_before_it_was_published_is_made_anew(
    publish, market, owner, monkeypatch
):
    def down(*_):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(type(owner.connection), "send", down)
        with pytest.raises(ConnectionError):
            publish(name="lost")
    for path in market.store.rglob("*"):
        if path.is_file():
            path.unlink()
    published = publish(name="lost")
    assert Catalogue(owner.connection).bundle(published.version)


def test_the_salt_of_the_evaluation_is_kept_by_its_owner_alone(market):
    for path in (market.home / "publications").iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert "evaluation_salt" in path.read_text()


def test_a_retired_model_takes_no_version(owner, publish):
    owner.retire(MODEL)
    with pytest.raises(InvalidTerms, match="retired for good"):
        publish()


def test_a_retired_version_is_published_as_a_new_one(owner, publish, market):
    owner.retire(f"{MODEL}@1")
    again = publish()
    assert again.version.number == 2
    assert again.version.id != market.published.version.id


def test_an_unfitted_estimator_is_refused(publish, nonce):
    before = nonce()
    with pytest.raises(UnfittedEstimator, match="LogisticRegression has not been fitted"):
        publish(estimator=LogisticRegression())
    assert nonce() == before


def test_what_is_no_estimator_is_refused(publish):
    with pytest.raises(UnsupportedEstimator, match="str is not a fitted scikit-learn estimator"):
        publish(estimator="a model")


def test_a_price_finer_than_a_gwei_is_refused(publish, nonce):
    before = nonce()
    with pytest.raises(InvalidTerms, match="whole gwei"):
        publish(price=GWEI + 1)
    assert nonce() == before


def test_a_prediction_that_is_not_finite_is_refused(publish, breast_cancer):
    broken = Ridge().fit(breast_cancer.inputs, breast_cancer.inputs["mean area"])
    broken.coef_ = broken.coef_ * float("inf")
    with pytest.raises(PredictionFailed):
        publish(estimator=broken, labels=breast_cancer.inputs["mean area"], name="broken")


def test_nothing_is_sent_when_the_bundle_cannot_be_stored(publish, market, nonce, monkeypatch):
    from modelward.content.store import ContentStore

    def full(self, data):
        raise StoreUnavailable("The disk is full.")

    before = nonce()
    monkeypatch.setattr(ContentStore, "put", full)
    with pytest.raises(StoreUnavailable):
        publish(name="no-room")
    assert nonce() == before


def test_a_manifest_that_is_not_in_the_store_is_named_with_where_it_was_published(market):
    for path in market.store.rglob("*"):
        if path.is_file():
            path.unlink()
    connection = market.connection()
    version = Catalogue(connection).version(MODEL)
    with pytest.raises(ContentMissing, match="manifest of breast-cancer@1") as missing:
        Catalogue(connection).manifest(version)
    assert version.version.uri in str(missing.value.hint)


def test_anyone_may_publish_under_the_same_name(market, breast_cancer):
    other = Owner(market.connection("sponsor")).publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name="breast-cancer",
        price=PRICE,
    )
    assert other.version.model_id != market.published.version.model_id
    assert other.version.number == 1


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
