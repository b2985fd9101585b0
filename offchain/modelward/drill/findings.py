"""What a run of a scenario found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """Violations in words, and how much of what there was."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def demand(self, holds: bool, otherwise: str) -> None:
        """Note a violation unless something holds."""
        if not holds:
            self.violations.append(otherwise)

    def add(self, other: Findings) -> None:
        """Take over what another run found."""
        self.violations += other.violations
        self.counts.update(other.counts)
