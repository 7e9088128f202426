"""No request that the venue's rate limit would refuse (C8)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView
from risk.order_proposal import request_kind


class RateBudget(BaseModel):
    """C8: the venue's declared limits leave room for the request, cancels' reserve untouched, and the strategy has
    not used more than its share while others want theirs. It has no settings: the limits are the venue's, reserve
    and shares belong to its budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with LIMITS_UNKNOWN, BUDGET_EXHAUSTED or BUDGET_SHARE; `wait_ms` says how long
        to wait before asking again."""
        venue = proposal.instrument.venue
        budget = view.budget(venue)
        if budget is None:
            return Refusal(RefusalCode.LIMITS_UNKNOWN, venue=venue)
        kind = request_kind(proposal)
        if budget.available(kind, proposal.strategy) >= 1:
            return None
        # Room without regard to shares: then only the strategy's own share is used up.
        is_share = budget.available(kind, "") >= 1
        return Refusal(
            RefusalCode.BUDGET_SHARE if is_share else RefusalCode.BUDGET_EXHAUSTED,
            venue=venue,
            kind=kind.value,
            wait_ms=-(-budget.wait_ns(kind, proposal.strategy) // 1_000_000),
        )
