"""Makes the applicants whose credit the example decides on: python examples/credit/generate.py

They are invented. Each has six figures drawn independently of the others, and repays with a
probability whose log-odds is linear in them, but for one bend that no linear model can follow:
above a debt of 45 % of income, each further percent weighs twice. The seed is fixed, so that
everybody has the same applicants.csv.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

APPLICANTS = 2_000
SEED = 20_240_517
FILE = Path(__file__).with_name("applicants.csv")


def applicants() -> Any:
    """All applicants, one row each: six figures, and in `outcome` what came of the loan."""
    random = np.random.default_rng(SEED)
    count = APPLICANTS
    table = pd.DataFrame(
        {
            "income": random.lognormal(10.4, 0.45, count).clip(8_000, 250_000).round(-2),
            "debt_to_income": random.beta(2.2, 4.2, count).round(3),
            "years_employed": random.exponential(6.0, count).clip(0, 40).round(1),
            "late_payments": random.poisson(0.9, count).clip(0, 12),
            "utilisation": random.beta(1.8, 2.6, count).round(3),
            "history_years": random.gamma(2.4, 4.0, count).clip(0, 45).round(1),
        }
    )
    excess = (table.debt_to_income - 0.45).clip(0, None)
    log_odds = (
        1.7
        + 1.1 * np.log(table.income / 33_000)
        - 5.0 * (table.debt_to_income - 0.34)
        - 5.0 * excess
        + 0.11 * (table.years_employed - 6)
        - 1.1 * (table.late_payments - 0.9)
        - 3.2 * (table.utilisation - 0.41)
        + 0.07 * (table.history_years - 9.6)
    )
    repays = random.random(count) < 1 / (1 + np.exp(-log_odds))
    table["outcome"] = np.where(repays, "repaid", "default")
    return table


if __name__ == "__main__":
    applicants().to_csv(FILE, index=False, lineterminator="\n")
    print(f"wrote {APPLICANTS} applicants to {FILE.name}")
