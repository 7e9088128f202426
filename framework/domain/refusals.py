"""The earlier name of `framework.domain.verdicts`, for strategies and checks written before it was renamed."""

from framework.domain.verdicts import Refusal, RefusalCode, refusal_table

__all__ = ["Refusal", "RefusalCode", "refusal_table"]
