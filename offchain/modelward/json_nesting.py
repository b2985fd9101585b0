"""How deeply JSON is nested, told before it is parsed.

Python's JSON parser recurses, and where the recursion limit was raised (py_ecc, which signing and
the development chain load, raises it for the whole process) a deep document overflows the stack and
ends the process. Whoever parses what a stranger wrote looks first.
"""

from __future__ import annotations

import re

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def depth(document: str) -> int:
    """How deeply the JSON in `document` is nested; brackets in strings do not count."""
    deepest = level = 0
    for match in _STRUCTURE.finditer(document):
        match document[match.start()]:
            case "[" | "{":
                level += 1
                deepest = max(deepest, level)
            case "]" | "}":
                level -= 1
    return deepest
