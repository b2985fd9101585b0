"""Reading held-out data from CSV."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_wine
from sklearn.naive_bayes import GaussianNB

from modelward.errors import InvalidInput
from modelward.pipeline.held_out import read_held_out
from modelward.pipeline.package import package


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes):
        path = tmp_path / "held-out.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "target", "features", "labels"),
    [
        ("a,b,c\n1,2,3\n4,5,6\n", None, ["a", "b"], [3, 6]),
        ("a,target,c\n1,2,3\n", None, ["a", "c"], [2]),
        ("a,target,c\n1,2,x\n", "c", ["a", "target"], ["x"]),
        ("\ufeffa,b\r\n1,yes\r\n", None, ["a"], ["yes"]),
        ('"a", b\n1, 2\n', None, ["a"], [2]),
    ],
)
def test_one_column_holds_the_labels(written, content, target, features, labels):
    inputs, truth = read_held_out(written(content), target)
    assert list(inputs.columns) == features
    assert truth.to_list() == labels


def test_a_written_table_packages_as_the_original(tmp_path):
    X, y = load_wine(return_X_y=True, as_frame=True)
    estimator = GaussianNB().fit(X, y)
    X.assign(cultivar=y).to_csv(tmp_path / "wine.csv", index=False)
    inputs, labels = read_held_out(tmp_path / "wine.csv", "cultivar")
    read, original = (package(estimator, *pair, name="w") for pair in ((inputs, labels), (X, y)))
    assert read.metrics == original.metrics
    assert read.manifest.input == original.manifest.input


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "{} is not valid CSV"),
        ("a,b\n", "{} must have a header, rows, and a column of labels."),
        ("a\n1\n", "{} must have a header, rows, and a column of labels."),
        ("a,b\n1,2,3\n", "The rows of {} have more cells than its header."),
        ("a,b\n1,2\n1,2,3\n", "{} is not valid CSV"),
        ('a,b\n"1,2\n', "{} is not valid CSV"),
        (b"PK\x03\x04\0\0", "{} is a binary file, not CSV."),
        ("grö,b\n1,2\n".encode("latin-1"), "{} is not text in UTF-8."),
        ('[{"a": 1}]', "{} holds JSON, not CSV."),
    ],
)
def test_a_file_that_is_no_such_table_gets_one_sentence(written, content, sentence):
    path = written(content)
    with pytest.raises(InvalidInput) as refusal:
        read_held_out(path)
    assert refusal.value.message.startswith(sentence.format(path))
    assert "\n" not in refusal.value.message


def test_a_wrong_target_is_told_with_the_columns(written):
    with pytest.raises(InvalidInput, match="has no column 'c' of labels") as refusal:
        read_held_out(written("a,b\n1,2\n"), "c")
    assert refusal.value.hint == "Its columns are a, b."


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_held_out(tmp_path / "absent.csv")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_held_out(tmp_path)
