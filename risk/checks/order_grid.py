"""Prices and sizes that the venue takes as they are (C19)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from framework.domain.numbers import Money
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView


class OrderGrid(BaseModel):
    """C19: the price lies on the instrument's tick grid, the size is a positive multiple of its lot and not below its
    minimum, the order's value not below the venue's. Exact integers; nothing is rounded here. It has no settings:
    the grid is the instrument's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with OFF_GRID for the price, BAD_SIZE for the size (scaled), NOTIONAL_MIN for the value."""
        instrument = proposal.instrument
        size = proposal.intent.size
        if not instrument.is_on_grid(proposal.price):
            return Refusal(RefusalCode.OFF_GRID, price=instrument.price_text(proposal.price))
        if proposal.open_size <= 0 or size % instrument.lot or size < instrument.size_min:
            return Refusal(
                RefusalCode.BAD_SIZE,
                size=size,
                open_size=proposal.open_size,
                lot=instrument.lot,
                size_min=instrument.size_min,
            )
        notional = Money(proposal.price * proposal.open_size)
        if notional < instrument.notional_min:
            return Refusal(
                RefusalCode.NOTIONAL_MIN,
                notional=instrument.money(notional),
                notional_min=instrument.money(instrument.notional_min),
            )
        return None
