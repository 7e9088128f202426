"""The in-process venue for tests of strategies, under its earlier name; it lives in `framework.testing`."""

from framework.testing.practice import INSTRUMENT, VENUE, PlentyBudget, PracticeDesk, PracticeVenue

__all__ = ["INSTRUMENT", "VENUE", "PlentyBudget", "PracticeDesk", "PracticeVenue"]
