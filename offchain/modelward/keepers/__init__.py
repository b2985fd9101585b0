"""Keepers: what anybody may do for everybody, without a right or a key to anything."""

from modelward.keepers.sweep import LeftOpen, Refund, Sweep, Sweeper, SweepLimits

__all__ = ["LeftOpen", "Refund", "Sweep", "SweepLimits", "Sweeper"]
