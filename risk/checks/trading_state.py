"""Whether trading is on (C14)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from framework.domain.account_events import TradingState
from framework.domain.intents import AmendOrder, only_shrinks
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView
from risk.order_proposal import passes_reducing


class TradingStateCheck(BaseModel):
    """C14: the strictest of the global, venue, instrument and strategy states decides. HALTED lets nothing through,
    REDUCING what can only shrink the position of each scope that is reducing: the strategy's own for a strategy, the
    account's for an instrument, a venue or everything. So a reducing strategy may close what it holds, also where
    the account is flat; the account's limits are asked all the same. An amend that only shrinks its order passes
    REDUCING. Cancels never come here. It has no settings:
    states are set by operators and checks while it runs, and survive a restart."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    asked_again: ClassVar[str] = "always"

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with TRADING_HALTED, or with TRADING_REDUCING what could open or turn a position."""
        state = view.trading_state(
            strategy=proposal.strategy, instrument=proposal.instrument.id, venue=proposal.instrument.venue
        )
        if state is TradingState.ACTIVE:
            return None
        if state is not TradingState.REDUCING:
            return Refusal(RefusalCode.TRADING_HALTED)
        intent, order = proposal.intent, proposal.order
        if isinstance(intent, AmendOrder) and order is not None and only_shrinks(intent, order):
            return None
        if passes_reducing(proposal.strategy, proposal.instrument, proposal.side, proposal.increase, view):
            return None
        return Refusal(RefusalCode.TRADING_REDUCING, side=proposal.side.value)
