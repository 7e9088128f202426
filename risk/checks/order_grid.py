"""Prices and sizes that the venue takes as they are (C19)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from framework.domain.intents import NewOrder
from framework.domain.numbers import Money
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView


class OrderGrid(BaseModel):
    """C19: price and trigger price lie on the instrument's tick grid, the size is a positive multiple of its lot, not
    below its minimum and not above its maximum, the order's value not below the venue's. Exact integers; nothing is
    rounded here. It has no settings: the grid is the instrument's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with OFF_GRID for a price, BAD_SIZE for the size (scaled), NOTIONAL_MIN for the value."""
        instrument = proposal.instrument
        size = proposal.intent.size
        if not instrument.is_on_grid(proposal.price):
            return Refusal(RefusalCode.OFF_GRID, price=instrument.price_text(proposal.price))
        trigger = proposal.intent.trigger if isinstance(proposal.intent, NewOrder) else None
        if trigger is not None and not instrument.is_on_grid(trigger.price):
            return Refusal(RefusalCode.OFF_GRID, trigger=instrument.price_text(trigger.price))
        is_too_large = 0 < instrument.size_max < size
        if proposal.open_size <= 0 or size % instrument.lot or size < instrument.size_min or is_too_large:
            return Refusal(
                RefusalCode.BAD_SIZE,
                size=size,
                open_size=proposal.open_size,
                lot=instrument.lot,
                size_min=instrument.size_min,
                **({"size_max": instrument.size_max} if instrument.size_max else {}),
            )
        notional = Money(proposal.price * proposal.open_size)
        if notional < instrument.notional_min:
            return Refusal(
                RefusalCode.NOTIONAL_MIN,
                notional=instrument.money(notional),
                notional_min=instrument.money(instrument.notional_min),
            )
        return None
