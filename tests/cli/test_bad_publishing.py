"""What `modelward model` and `modelward grant` cannot use: one sentence, and nothing sent."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.market import MODEL


@pytest.fixture
def files(project, breast_cancer):
    """The market's estimator and held-out rows as files, and a way to write others."""
    skops.io.dump(breast_cancer.estimator, project / "model.skops")
    held_out = breast_cancer.inputs.assign(diagnosis=breast_cancer.labels)
    held_out.to_csv(project / "held-out.csv", index=False)
    return project


@pytest.fixture
def publish(refused, files):
    """`model publish` with one thing changed; the last of several values for an option counts."""

    def publish(code, sentence, *options, file="model.skops", **changes):
        named = {
            "--held-out": "held-out.csv",
            "--target": "diagnosis",
            "--name": "another",
            "--price": "0.001 ether",
        } | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        given = [part for pair in named.items() for part in pair]
        return refused(code, sentence, "model", "publish", file, *given, *options)

    return publish


# --- the estimator -------------------------------------------------------------------------------


def times_two(x):
    return x * 2


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (LogisticRegression(), "This LogisticRegression has not been fitted."),
        (KMeans(2), "KMeans is neither a classifier nor a regressor."),
        (PCA(2), "PCA is neither a classifier nor a regressor."),
        ({"weights": [1, 2]}, "dict is not a fitted scikit-learn estimator."),
    ],
    ids=["unfitted", "clustering", "a transformer", "a dict"],
)
def test_an_estimator_that_cannot_be_published(publish, files, estimator, sentence):
    skops.io.dump(estimator, files / "other.skops")
    publish(2, sentence, file="other.skops")


def test_an_estimator_of_several_outputs(publish, files, breast_cancer):
    both = breast_cancer.inputs[["mean radius", "mean area"]]
    skops.io.dump(LinearRegression().fit(breast_cancer.inputs, both), files / "other.skops")
    publish(2, "LinearRegression predicts several outputs a row", file="other.skops")


def test_a_type_outside_the_allow_list(publish, files, breast_cancer):
    own = make_pipeline(FunctionTransformer(times_two), LogisticRegression(max_iter=10))
    skops.io.dump(own.fit(breast_cancer.inputs, breast_cancer.labels), files / "other.skops")
    publish(2, "other.skops holds forbidden types: ", file="other.skops")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "other.skops cannot be read: No such file or directory."),
        (b"", "other.skops is not a skops file."),
        (b"weights: 1\n", "other.skops is not a skops file."),
        (b"PK\x03\x04 and then nothing", "other.skops is not a readable skops file"),
    ],
    ids=["missing", "empty", "text", "a broken archive"],
)
def test_a_file_that_is_no_skops_file(publish, files, content, sentence):
    if content is not None:
        (files / "other.skops").write_bytes(content)
    publish(2, sentence, file="other.skops")


def test_a_pickle_is_never_opened(publish, files):
    class Malicious:
        def __reduce__(self):
            return (open, (str(files / "executed"), "w"))

    (files / "other.skops").write_bytes(pickle.dumps(Malicious()))
    publish(2, "other.skops is not a skops file.", file="other.skops")
    assert not (files / "executed").exists()


def test_a_zip_bomb_is_not_expanded(publish, files):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"\0" * 50_000_000)
    (files / "other.skops").write_bytes(bomb.getvalue())
    publish(2, "expands to more than a bundle may.", file="other.skops")


# --- the held-out rows ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda table: table.drop(columns="mean radius"), "lack 'mean radius'"),
        (lambda table: table.assign(size=1), "have 'size' beyond its features"),
        (lambda table: table.replace({"benign": "unsure"}), "'unsure', which is no class"),
        (lambda table: table.assign(**{"mean radius": float("nan")}), "missing values (or NaN)"),
        (lambda table: table.assign(**{"mean radius": float("inf")}), "has infinite values"),
        (lambda table: table.head(0), "must have a header, rows"),
        (lambda table: table.rename(columns={"diagnosis": "label"}), "no column 'diagnosis'"),
    ],
    ids=["a column missing", "a column too many", "an unknown class", "NaN", "infinity", "no rows",
         "no target"],
)  # fmt: skip
def test_rows_that_do_not_go_with_the_estimator(publish, files, breast_cancer, edit, sentence):
    table = breast_cancer.inputs.assign(diagnosis=breast_cancer.labels)
    edit(table).to_csv(files / "rows.csv", index=False)
    publish(2, sentence, held_out="rows.csv")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (json.dumps({"a": 1}).encode(), "rows.csv holds JSON, not CSV."),
        (b"\x00\x01\x02", "rows.csv is a binary file, not CSV."),
        (b"a,b\n1,2,3\n", "have more cells than its header."),
        (b"", "rows.csv is not valid CSV"),
        (None, "rows.csv cannot be read: No such file or directory."),
    ],
    ids=["JSON", "binary", "ragged", "empty", "missing"],
)
def test_a_file_that_is_no_table(publish, files, content, sentence):
    if content is not None:
        (files / "rows.csv").write_bytes(content)
    publish(2, sentence, held_out="rows.csv")


# --- terms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"price": "cheap"}, "'cheap' is not an amount of money."),
        ({"price": "-1 gwei"}, "'-1 gwei' is not an amount of money."),
        ({"price": "1 wei"}, "A price of 1 wei cannot be set: it must be whole gwei"),
        ({"price": "300000 ether"}, "cannot be set: it must be whole gwei, from 0 to"),
        ({"name": "a name"}, "'a name' cannot name a model."),
        ({"name": ""}, "'' cannot name a model."),
        ({"name": "x" * 65}, "cannot name a model."),
        ({"threshold": "accuracy"}, "'accuracy' assigns nothing."),
        ({"threshold": "beauty=0.9"}, "'beauty' is not a metric of a classification."),
        ({"threshold": "r2=0.9"}, "'r2' is not a metric of a classification."),
        ({"threshold": "accuracy=high"}, "The threshold 'high' for accuracy is not a number."),
        ({"range": "mean radius=wide"}, "'wide' is not a range for 'mean radius'."),
        ({"range": "size=0:1"}, "Ranges are stated for 'size', which the model does not know."),
        ({"range": "mean radius=9:1"}, "The minimum of 'mean radius', 9.0, is above its maximum"),
        ({"range": "mean radius=0:nan"}, "must be a pair of finite numbers."),
        ({"range": "mean radius=0:1"}, "outside its declared range"),
        ({"max_delay": "soon"}, "'soon' is not a duration."),
        ({"max_delay": "52w"}, "The longest delay must be 1 to"),
        ({"payee": "nobody"}, "No account is called 'nobody' on 'local'."),
        ({"payee_bps": "10001"}, "The payee's share must be 0 to 10000, not 10001."),
        ({"payee_bps": "half"}, "Invalid value for '--payee-bps'"),
    ],
)
def test_terms_that_cannot_be_set(publish, changes, sentence):
    publish(2, sentence, **changes)


def test_a_model_below_its_threshold_is_refused_by_the_gate(publish):
    publish(
        3,
        "The model is below its thresholds: accuracy is 0.98, below 0.99 by 0.01; log_loss is "
        "0.047687, above 0.01 by 0.037687.",
        "--threshold",
        "accuracy=0.99",
        "--threshold",
        "log_loss=0.01",
    )


def test_a_threshold_that_would_be_lowered(publish):
    publish(2, "can only be made stricter", name="breast-cancer", threshold="accuracy=0.1")


# --- looking and retiring ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["show", "retire"])
@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("owner/other", "owner has no model 'other'"),
        ("owner/breast-cancer@7", "has no version 7."),
        ("nonsense", "is not a model reference."),
    ],
)
def test_a_model_that_is_unknown(refused, verb, model, sentence):
    refused(2, sentence, "model", verb, model, *(["--yes"] if verb == "retire" else []))


def test_a_model_is_not_retired_by_mistake(refused):
    refused(2, "cannot be undone; it was not done.", "model", "retire", MODEL)


def test_a_model_of_somebody_else_is_not_retired(refused):
    refused(
        2, "does not belong to outsider, but to owner.",
        "model", "retire", MODEL, "--yes", "--account", "outsider",
    )  # fmt: skip


def test_a_version_is_retired_once(refused, run):
    assert run("model", "retire", f"{MODEL}@1").code == 0
    refused(3, "cannot be served: it was retired.", "model", "retire", f"{MODEL}@1")


# --- grants --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--right", "admire"), 2, "'admire' is not a right."),
        (("--uses", "0"), 2, "--uses"),
        (("--uses", "99999999"), 2, "A quota must be 1 to"),
        (("--expires", "someday"), 2, "'someday' is not a moment."),
        (("--expires", "2020-01-01"), 3, "The grant would have expired at 2020-01-01"),
        (("--expires", "99999-01-01"), 2, "is not a moment."),
    ],
)
def test_a_grant_that_cannot_be_made(refused, options, code, sentence):
    refused(code, sentence, "grant", "add", "requester", MODEL, *options)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "nobody", MODEL), "No account is called 'nobody'"),
        (("add", "0x0000000000000000000000000000000000000000", MODEL), "zero address"),
        (("add", "requester", "owner/other"), "owner has no model 'other'"),
        (("revoke", "nobody", MODEL), "No account is called 'nobody'"),
        (("revoke", "nobody"), "No account is called 'nobody'"),
        (("revoke", "outsider", MODEL), "outsider holds no grant on owner/breast-cancer."),
        (("list", "owner/other"), "owner has no model 'other'"),
        (("list", MODEL, "--owner", "sponsor"), "is not a model of sponsor."),
        (("list", "--owner", "nobody"), "No account is called 'nobody'"),
    ],
)
def test_a_grant_to_nobody_or_on_nothing(refused, arguments, sentence):
    code = 3 if "zero" in sentence else 2
    refused(code, sentence, "grant", *arguments)


# --- exact models --------------------------------------------------------------------------------


def test_an_exact_model_that_is_to_be_private(publish):
    publish(2, "stored on chain, where everybody can read it", "--exact")


def test_an_exact_model_whose_cost_nobody_agreed_to(publish):
    publish(2, "Nothing was sent.", "--exact", "--clear")


def test_an_agreement_that_is_no_share(publish):
    publish(2, "is not a share of rows from 0 to 1", agreement="1.5")


def test_an_exact_model_is_published_once_its_cost_was_shown(run, files):
    outcome = run(
        *("model", "publish", "model.skops", "--held-out", "held-out.csv"),
        *("--target", "diagnosis", "--name", "another", "--price", "0.001 ether"),
        *("--exact", "--clear", "--yes", "--account", "owner"),
    )
    assert outcome.code == 0, outcome.err
    assert "bytes on chain, for everybody to read, takes at most" in outcome.err
    assert "stored the program, 146 bytes" in outcome.out
    assert "had the version admitted to disputes" in outcome.out
    assert "agrees on 100 of 100 held-out rows" in outcome.out
