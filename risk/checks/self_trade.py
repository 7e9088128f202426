"""No order that could trade with an own one (C12)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView

_WAIT = "ask again when these have ended"


class SelfTrade(BaseModel):
    """C12: a new order or an amend may not reach the price of an open order of the other side in the same instrument,
    whichever strategy placed it, nor that of an open order at the venue that is not ours: the account would trade with
    itself. Orders in flight and unknown ones count, and an unanswered amend at the better of both prices. On a binary
    market both sides speak of YES, so buying YES and buying NO are compared, too.

    Every order is judged by its worst acceptable price: market orders, those that wait for a trigger, and post-only
    ones, which may be at the venue before what they would meet. Exits are no exception.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["refuse", "cancel_resting"] = Field(
        "refuse",
        description="What becomes of the orders in the way: nothing, or they are cancelled, of whatever strategy they "
        "are. The new order is refused in either case: ask again when they have ended. Orders that are not ours stay.",
    )

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with SELF_TRADE, the order's price and the best own one in the way; prices as decimals."""
        instrument = proposal.instrument
        met = view.own_orders_met(instrument.id, proposal.side, proposal.price)
        if not met:
            return None
        cancels = [one.client_order_id for one in met if one.client_order_id] if self.mode == "cancel_resting" else []
        return Refusal(
            RefusalCode.SELF_TRADE,
            cancels=cancels,
            side=proposal.side.value,
            price=instrument.price_text(proposal.price),
            own_price=instrument.price_text(met[0].price),
            own_order=met[0].client_order_id or "not ours",
            **({"cancelling": len(cancels), "give": _WAIT} if cancels else {}),
        )
