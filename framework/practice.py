"""The earlier name of `framework.testing.practice`, for tests of strategies written before it was moved."""

from framework.engine.kernel_ports import IntentJudge as Judge
from framework.testing.practice import INSTRUMENT, VENUE, GateClass, PlentyBudget, PracticeDesk, PracticeVenue

__all__ = ["INSTRUMENT", "VENUE", "GateClass", "Judge", "PlentyBudget", "PracticeDesk", "PracticeVenue"]
