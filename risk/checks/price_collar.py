"""No price far from the market (C3)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Price, to_decimal
from framework.domain.orders import Side, Trigger, TriggerKind
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import BookView, Proposal, RiskView
from risk.limit_table import MAXIMUM
from risk.order_proposal import trigger_of

_BPS = 10_000


class CollarBand(BaseModel):
    """How far beyond the mid an order may reach. Each width that is given must hold, and at least one is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bps: int | None = Field(
        None,
        gt=0,
        le=_BPS,
        json_schema_extra=MAXIMUM,
        description="Width in basis points of the mid: 100 is one percent. For spot markets.",
    )
    ticks: int | None = Field(
        None,
        gt=0,
        json_schema_extra=MAXIMUM,
        description="Width in ticks: the finer tick of bid and ask. For binary markets.",
    )

    @model_validator(mode="after")
    def _has_width(self) -> Self:
        if self.bps is None and self.ticks is None:
            raise ValueError("neither bps nor ticks is given; give at least one of them")
        return self


class PriceCollar(BaseModel):
    """C3: a bid is at most the mid plus the band, an ask at least the mid minus the band. The mid is that of a
    fresh, uncrossed, two-sided book that is not older than `age_ms_max`; without one nothing passes.

    An order that waits far away from the market on its own side can't trade at a bad price and passes.

    An order with a trigger meets another book than today's: its price is compared with the trigger's, by the same band
    and without a book, which C4 asks for. A take-profit whose condition the book meets already is an order like any
    other: then the mid counts, which is the stricter of the two.

    Where one side of such a book is empty, an order passes that can only close positions, in the account and in the
    strategy, at the visible best of the other side or behind it: a sale at the best bid or above, a purchase at the
    best ask or below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    band: CollarBand = Field(description="How far beyond the mid an order may reach, for example {ticks = 10}.")
    age_ms_max: int = Field(gt=0, description="Oldest book that serves as reference, in milliseconds.")
    overrides: dict[str, CollarBand] = Field(
        default_factory=dict, description="Exceptions: instrument pattern = band, first match wins."
    )

    @cached_property
    def _bands(self) -> dict[InstrumentId, CollarBand]:
        return {}

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with PRICE_COLLAR beyond the band, with NO_REFERENCE_PRICE where there is no book to measure from."""
        book = view.book(proposal.instrument.id)
        mid_twice = book.mid_twice if book is not None and book.is_fresh else None
        if (trigger := trigger_of(proposal)) is not None:
            return self._compare(proposal, _reference_twice(proposal.side, trigger, mid_twice), (trigger.price,))
        is_exit = mid_twice is None and book is not None and book.is_fresh and _is_one_sided_exit(proposal, book)
        if book is None or not (is_exit or (mid_twice is not None and mid_twice > 0)):
            return Refusal(RefusalCode.NO_REFERENCE_PRICE, instrument=proposal.instrument.id)
        age_ns = book.age_ns(view.monotonic_ns)
        if not 0 <= age_ns <= self.age_ms_max * 1_000_000:
            return Refusal(RefusalCode.NO_REFERENCE_PRICE, age_ms=age_ns // 1_000_000, age_ms_max=self.age_ms_max)
        return None if mid_twice is None else self._compare(proposal, mid_twice, (book.bid, book.ask))

    def _compare(self, proposal: Proposal, mid_twice: int, bests: Sequence[Price | None]) -> Refusal | None:
        # How far the price lies beyond the mid, doubled like the mid; negative when it lies on the safe side.
        above_twice = 2 * proposal.price - mid_twice
        beyond_twice = above_twice if proposal.side is Side.BUY else -above_twice
        if beyond_twice <= 0:
            return None
        band = self._band(proposal.instrument)
        if band.bps is not None and beyond_twice * _BPS > mid_twice * band.bps:
            return _refusal(proposal, mid_twice, band_bps=band.bps)
        if band.ticks is not None and beyond_twice > 2 * band.ticks * _tick(proposal.instrument, bests):
            return _refusal(proposal, mid_twice, band_ticks=band.ticks)
        return None

    def _band(self, instrument: Instrument) -> CollarBand:
        band = self._bands.get(instrument.id)
        if band is None:
            matches = (each for pattern, each in self.overrides.items() if fnmatchcase(instrument.id, pattern))
            band = self._bands[instrument.id] = next(matches, self.band)
        return band


def _is_one_sided_exit(proposal: Proposal, book: BookView) -> bool:
    if not proposal.is_reducing:
        return False
    if proposal.side is Side.SELL:
        return book.ask is None and book.bid is not None and proposal.price >= book.bid
    return book.bid is None and book.ask is not None and proposal.price <= book.ask


def _reference_twice(side: Side, trigger: Trigger, mid_twice: int | None) -> int:
    if mid_twice is None or trigger.kind is TriggerKind.STOP:
        return 2 * trigger.price
    return min(2 * trigger.price, mid_twice) if side is Side.BUY else max(2 * trigger.price, mid_twice)


def _tick(instrument: Instrument, bests: Sequence[Price | None]) -> int:
    return min(instrument.tick_at(best) for best in bests if best is not None)


def _refusal(proposal: Proposal, mid_twice: int, **band: Any) -> Refusal:
    return Refusal(
        RefusalCode.PRICE_COLLAR,
        side=proposal.side.value,
        price=proposal.instrument.price_text(proposal.price),
        mid=to_decimal(mid_twice * 5, proposal.instrument.price_decimals + 1),
        **band,
    )
