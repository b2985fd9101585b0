"""How deep a document goes is told without parsing it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.json_nesting import depth

TEXTS = st.text(alphabet='[]{}"\\a\n', max_size=8)
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


def measured(value):
    """The depth of a parsed document."""
    if isinstance(value, list | dict):
        inner = value if isinstance(value, list) else value.values()
        return 1 + max(map(measured, inner), default=0)
    return 0


@given(DOCUMENTS)
def test_it_is_the_depth_of_what_the_document_holds(value):
    assert depth(json.dumps(value)) == measured(value)


@pytest.mark.parametrize("document", ['"' + "[" * 99, '"\\', '["[[[', '["\\"[[["]'])
def test_brackets_in_text_do_not_count_however_it_ends(document):
    assert depth(document) <= 1


def test_a_document_of_brackets_alone_is_as_deep_as_it_looks():
    assert depth("[" * 100_000) == 100_000
