"""Whether trading is on (C14)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from framework.domain.account_events import TradingState
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView


class TradingStateCheck(BaseModel):
    """C14: the strictest of the global, venue, instrument and strategy states decides. REDUCING lets through what
    can only shrink the position, HALTED nothing. Cancels never come here. It has no settings: states are set by
    operators and checks while it runs, and survive a restart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with TRADING_HALTED, or with TRADING_REDUCING what could open or turn a position."""
        state = view.trading_state(
            strategy=proposal.strategy, instrument=proposal.instrument.id, venue=proposal.instrument.venue
        )
        if state is TradingState.ACTIVE:
            return None
        if state is TradingState.REDUCING:
            return None if proposal.is_reducing else Refusal(RefusalCode.TRADING_REDUCING, side=proposal.side.value)
        return Refusal(RefusalCode.TRADING_HALTED)
