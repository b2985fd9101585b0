"""How deeply JSON is nested, told before it is parsed.

Python's JSON parser recurses, and where the recursion limit was raised (py_ecc, which signing and
the development chain load, raises it for the whole process) a deep document overflows the stack and
ends the process. Whoever parses what a stranger wrote looks first.
"""

from __future__ import annotations

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def depth(document: str) -> int:
    """How deeply the JSON in `document` is nested; brackets in strings do not count."""
    escapes = "\\" in document
    outside = _STRING.split(document) if escapes else document.split('"')[::2]
    deepest = level = 0
    for bracket in _BRACKET.findall("".join(outside)):
        if bracket in "[{":
            level += 1
            deepest = max(deepest, level)
        else:
            level -= 1
    return deepest
