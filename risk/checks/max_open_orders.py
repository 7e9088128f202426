"""How many orders may be open at once (C7)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.orders import Side
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView
from risk.order_proposal import closes_strategy


class MaxOpenOrders(BaseModel):
    """C7: a new order passes while fewer than the limit are open, in flight and unknown ones included. An amend
    adds none.

    Each strategy keeps a place for its exit, however full it is: an order that can only close the strategy's position
    passes while the strategy has no open order on that side of the instrument. So a limit may be passed by one order
    per strategy and instrument that it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_total: int = Field(gt=0, description="All open orders, also those that others placed on the accounts.")
    max_per_strategy: int | None = Field(None, gt=0, description="Orders of one strategy; none: not counted.")
    max_per_venue: int | None = Field(None, gt=0, description="The same at one venue; none: not counted.")
    max_per_instrument: int | None = Field(None, gt=0, description="The same on one instrument; none: not counted.")

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse a new order with OPEN_ORDERS_MAX, the scope that is full, its count and its limit."""
        refusal = None if proposal.order is not None else self._full(proposal, view)
        return None if refusal is None or _is_first_exit(proposal, view) else refusal

    def _full(self, proposal: Proposal, view: RiskView) -> Refusal | None:
        refusal = _compare("total", view.open_orders(), self.max_total)
        if refusal is None and (limit := self.max_per_strategy) is not None:
            refusal = _compare("strategy", view.open_orders(strategy=proposal.strategy), limit)
        if refusal is None and (limit := self.max_per_venue) is not None:
            refusal = _compare("venue", view.open_orders(venue=proposal.instrument.venue), limit)
        if refusal is None and (limit := self.max_per_instrument) is not None:
            refusal = _compare("instrument", view.exposure(proposal.instrument.id).open_orders, limit)
        return refusal


def _is_first_exit(proposal: Proposal, view: RiskView) -> bool:
    exposure = view.strategy_exposure(proposal.strategy, proposal.instrument.id)
    same_side = exposure.open_buy if proposal.side is Side.BUY else exposure.open_sell
    return same_side == 0 and closes_strategy(proposal, view)


def _compare(scope: str, count: int, limit: int) -> Refusal | None:
    if 0 <= count < limit:
        return None
    return Refusal(RefusalCode.OPEN_ORDERS_MAX, scope=scope, open_orders=count, limit=limit)
