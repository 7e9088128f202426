"""Prices and sizes that the venue takes as they are (C19)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from framework.domain.intents import NewOrder
from framework.domain.numbers import Money, Size
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView

_ON_GRID = "a price of the instrument's grid: round_down or round_up"


class OrderGrid(BaseModel):
    """C19: price and trigger price lie on the instrument's tick grid, the size is a positive multiple of its lot, not
    below its minimum and not above its maximum, the order's value not below the venue's. Exact integers; nothing is
    rounded here. It has no settings: the grid is the instrument's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with OFF_GRID for a price, BAD_SIZE for the size, NOTIONAL_MIN for the value; all as decimals."""
        instrument = proposal.instrument
        size = proposal.intent.size
        if not instrument.is_on_grid(proposal.price):
            return Refusal(RefusalCode.OFF_GRID, price=instrument.price_text(proposal.price), give=_ON_GRID)
        trigger = proposal.intent.trigger if isinstance(proposal.intent, NewOrder) else None
        if trigger is not None and not instrument.is_on_grid(trigger.price):
            return Refusal(RefusalCode.OFF_GRID, trigger=instrument.price_text(trigger.price), give=_ON_GRID)
        is_too_large = 0 < instrument.size_max < size
        if proposal.open_size <= 0 or size % instrument.lot or size < instrument.size_min or is_too_large:
            return _bad_size(proposal)
        notional = Money(proposal.price * proposal.open_size)
        if notional < instrument.notional_min:
            return Refusal(
                RefusalCode.NOTIONAL_MIN,
                notional=instrument.money(notional),
                notional_min=instrument.money(instrument.notional_min),
                give="a larger size, or a higher price",
            )
        return None


def _bad_size(proposal: Proposal) -> Refusal:
    """The size, what is left of it where an order has traded, and what the venue takes."""
    instrument, size = proposal.instrument, proposal.intent.size
    shown = {"size": size, "lot": instrument.lot, "size_min": instrument.size_min}
    shown |= {"open_size": proposal.open_size} if proposal.open_size != size else {}
    shown |= {"size_max": instrument.size_max} if instrument.size_max else {}
    texts = {name: instrument.size_text(Size(value)) for name, value in shown.items()}
    return Refusal(RefusalCode.BAD_SIZE, **texts, give="a multiple of lot, from size_min on")
