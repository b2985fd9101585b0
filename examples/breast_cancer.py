"""A scaler and a logistic regression tell malignant from benign tumours.

python examples/breast_cancer.py [--network NAME]  publishes and sells a prediction
python examples/breast_cancer.py --save DIRECTORY  writes what the command line needs to do so
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train() -> tuple[Any, Any, Any]:
    """A fitted pipeline, and 100 rows it has not seen with their labels."""
    data = load_breast_cancer(as_frame=True)
    diagnoses = data.target.map({0: "malignant", 1: "benign"}).rename("diagnosis")
    seen, unseen, known, truth = train_test_split(
        data.data, diagnoses, test_size=100, random_state=0
    )
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, known), unseen, truth


def save(directory: Path) -> None:
    """Write the estimator, the rows it has not seen, and one row to predict for."""
    import skops.io

    estimator, inputs, labels = train()
    directory.mkdir(parents=True, exist_ok=True)
    skops.io.dump(estimator, directory / "breast-cancer.skops")
    inputs.join(labels).to_csv(directory / "held-out.csv", index=False)
    patient = json.dumps(inputs.iloc[0].to_dict(), indent=2)
    (directory / "patient.json").write_text(patient + "\n", encoding="utf-8")
    print(f"wrote breast-cancer.skops, held-out.csv and patient.json to {directory}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--save"]:
        save(Path(sys.argv[2]))
    else:
        from market import main

        main(*train(), name="breast-cancer", price="0.001 ether", thresholds={"accuracy": 0.95})
