"""A small dataset of apples to make dirty, and the rules it is held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from modelward.pipeline.definition import Pipeline, parse_pipeline

RULES = """
name = "apples"

[source]
kind = "frame"

[target]
column = "grade"
task = "classification"
classes = ["class one", "juice"]

[columns.weight]
kind = "number"
minimum = 40
maximum = 400

[columns.spots]
kind = "integer"
minimum = 0
maximum = 100

[columns.variety]
kind = "category"
categories = ["Boskoop", "Elstar", "Gala"]

[columns.picked]
kind = "date"

[columns.washed]
kind = "boolean"
"""

ROWS = 160


def rules(*changes: tuple[str, str], extra: str = "") -> Pipeline:
    """The rules, with texts replaced and sections added."""
    text = RULES
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return parse_pipeline(text + extra, Path("pipeline.toml"))


NUMBERS = RULES.partition("[columns.variety]")[0]
"""The rules of weight and spots: what is made of them has an exact program."""

NUMBERS_FROM_A_FILE = NUMBERS.replace('kind = "frame"', 'kind = "csv"\npath = "apples.csv"')


def numbers_alone() -> Pipeline:
    """Those rules, a threshold, and what to try below it."""
    search = '[train]\nsearch = ["logistic", "tree"]\ncandidates = 3\n'
    thresholds = "[thresholds]\naccuracy = 0.7\n"
    return parse_pipeline(NUMBERS + search + thresholds, Path("pipeline.toml"))


def column_rule(name: str, *lines: str) -> tuple[str, str]:
    """A change that adds lines to the rules of one column."""
    return f"[columns.{name}]\n", f"[columns.{name}]\n" + "".join(f"{line}\n" for line in lines)


NOTE_RULE = '[columns.note]\nkind = "text"\nmaximum = 200\n'
_WORDS = {"class one": ("crisp", "shiny", "sweet"), "juice": ("bruised", "soft", "wormy")}


def apples_with_notes(rows: int = ROWS) -> pd.DataFrame:
    """The same, each with what somebody wrote about it; words follow the grade, with noise."""
    table, random = apples(rows), np.random.default_rng(1)
    notes = []
    for grade in table["grade"]:
        told = random.choice([grade, *_WORDS], p=[0.6, 0.2, 0.2])
        notes.append(
            f"picked by hand, {random.choice(_WORDS[told])} and {random.choice(_WORDS[told])}"
        )
    return table.assign(note=pd.Series(notes, index=table.index, dtype=object))


def apples(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Clean rows, as text; the grade follows weight and spots, with noise."""
    random = np.random.default_rng(seed)
    weight = random.normal(170, 30, rows).round(1).clip(60, 300)
    spots = random.integers(0, 20, rows)
    good = (weight - 170) / 30 - (spots - 10) / 6 + random.normal(0, 0.4, rows) > 0
    return pd.DataFrame(
        {
            "weight": weight.astype(str),
            "spots": spots.astype(str),
            "variety": random.choice(["Boskoop", "Elstar", "Gala"], rows),
            "picked": [f"2025-09-{1 + day:02d}" for day in random.integers(0, 30, rows)],
            "washed": random.choice(["yes", "no"], rows),
            "grade": np.where(good, "class one", "juice"),
        },
        index=range(1, rows + 1),
        dtype=object,
    )
