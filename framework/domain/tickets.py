"""The earlier name of `framework.domain.verdicts`, for strategies and checks written before it was renamed."""

from framework.domain.verdicts import Approved, Refused, Signed, Verdict

__all__ = ["Approved", "Refused", "Signed", "Verdict"]
