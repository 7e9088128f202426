"""Which fills are booked: each exactly once, however often it is reported, and reversed at most once (I4, I21)."""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter

import msgspec

from framework.domain.account_events import Fill, FillSource, FillVoided
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Money

FILLS_KEPT_MAX = 10_000
"""So many fills are remembered. A fill that is not newer than a forgotten one may be a duplicate, so it is refused
unless its order's numbers prove that it is none."""

_traded = attrgetter("instrument", "side", "price", "size", "fee")

FillKey = tuple[str, str]
"""Venue and fill id."""


class BookedFill(msgspec.Struct, array_like=True):
    """A fill that is booked. `client_order_id` is empty and `strategy` None until its order is known; `is_voided` once
    the venue has taken it back."""

    fill: Fill
    client_order_id: str = ""
    strategy: str | None = None
    is_voided: bool = False


class FillsSnapshot(msgspec.Struct, array_like=True):
    """The register as it is written: fills and early voids in canonical order, and per venue the time, in nanoseconds,
    up to which fills are forgotten."""

    fills: list[BookedFill]
    voids: list[FillVoided]
    forgotten_before: list[tuple[str, int]]


class Fills:
    """The register of fills, by venue and fill id; `kept_max` fills and as many early voids are remembered."""

    def __init__(self, kept_max: int = FILLS_KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._fills: dict[FillKey, BookedFill] = {}
        self._inferred: dict[FillKey, None] = {}
        self._voids: dict[FillKey, FillVoided] = {}
        self._forgotten_before: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._fills)

    def get(self, venue: str, fill_id: str) -> BookedFill | None:
        """The fill of this id, None when it was never booked or is forgotten."""
        return self._fills.get((venue, fill_id))

    def of_order(self, client_order_id: str) -> list[BookedFill]:
        """The remembered fills of an order, voided ones included. Reads every fill: not for every event."""
        return [booked for booked in self._fills.values() if booked.client_order_id == client_order_id]

    def inferred(self, instrument: InstrumentId) -> list[BookedFill]:
        """The remembered inferred fills in an instrument that stand, newest first."""
        standing = [self._fills[key] for key in reversed(self._inferred)]
        return [booked for booked in standing if booked.fill.instrument == instrument]

    def standing(self, instrument: InstrumentId) -> list[BookedFill]:
        """The remembered fills in an instrument that stand. Reads every fill: not for every event."""
        return [one for one in self._fills.values() if one.fill.instrument == instrument and not one.is_voided]

    def traded_in(self, instruments: Collection[InstrumentId]) -> list[Fill]:
        """The remembered fills in these instruments, voided ones included. Reads every fill: not for every event."""
        return [booked.fill for booked in self._fills.values() if booked.fill.instrument in instruments]

    def newest_ns(self, venue: str) -> int | None:
        """The time (nanoseconds) of a venue's newest remembered fill, None without one. Reads every fill: not for every
        event."""
        return max((_time_of(one.fill) for one in self._fills.values() if one.fill.venue == venue), default=None)

    def enter(self, fill: Fill, *, is_owed: bool = False) -> BookedFill | None:
        """Register a fill that `get` does not know; None, and nothing changed, when it is too old to be
        distinguished from a duplicate and it is not proved otherwise to be none (`is_owed`). A void that came before
        its fill makes it a voided one from the start."""
        if not is_owed and self.is_forgotten(fill):
            return None
        key = (fill.venue, fill.fill_id)
        booked = self._fills[key] = BookedFill(fill, is_voided=self._voids.pop(key, None) is not None)
        self._index(key, booked)
        if len(self._fills) > self._kept_max:
            self._forget_oldest()
        return booked

    def is_news(self, fill: Fill) -> bool:
        """Whether a fill that the venue lists can change anything: it is not booked, its order is not known, or it
        differs from what is booked. One as old as forgotten ones can't: nothing tells it from a duplicate."""
        booked = self._fills.get((fill.venue, fill.fill_id))
        if booked is None:
            return not self.is_forgotten(fill)
        return not booked.client_order_id or not is_same_trade(booked.fill, fill)

    def void(self, event: FillVoided) -> BookedFill | None:
        """Mark a fill as taken back and return it; None when there is nothing to reverse, because it is voided already
        or not booked yet. In the second case the void is kept for it."""
        key = (event.venue, event.fill_id)
        booked = self._fills.get(key)
        if booked is None:
            self._voids.setdefault(key, event)
            if len(self._voids) > self._kept_max:
                del self._voids[next(iter(self._voids))]
            return None
        if booked.is_voided:
            return None
        booked.is_voided = True
        self._inferred.pop(key, None)
        return booked

    def snapshot(self) -> FillsSnapshot:
        """The register in canonical order, for digest and snapshot; `keys` says the rest."""
        return FillsSnapshot(
            fills=[booked for _, booked in sorted(self._fills.items(), key=lambda item: item[0])],
            voids=[void for _, void in sorted(self._voids.items(), key=lambda item: item[0])],
            forgotten_before=sorted(self._forgotten_before.items()),
        )

    def keys(self) -> list[FillKey]:
        """Venue and id of each fill, in the order in which they were booked: the first one is forgotten first."""
        return list(self._fills)

    @classmethod
    def from_snapshot(cls, snapshot: FillsSnapshot, keys: list[FillKey], kept_max: int = FILLS_KEPT_MAX) -> Fills:
        """The register that `snapshot` and `keys` were taken of. Raises `KeyError` when these contradict each other."""
        fills = cls(kept_max)
        by_key = {(booked.fill.venue, booked.fill.fill_id): booked for booked in snapshot.fills}
        fills._fills = {key: by_key[key] for key in keys}
        for key, booked in fills._fills.items():
            fills._index(key, booked)
        fills._voids = {(void.venue, void.fill_id): void for void in snapshot.voids}
        fills._forgotten_before = dict(snapshot.forgotten_before)
        return fills

    def is_forgotten(self, fill: Fill) -> bool:
        """Whether a fill that `get` does not know is as old as those that are forgotten: it may be one of them."""
        # Up to and including: the one that was forgotten last may be reported again, and must not be booked twice.
        return _time_of(fill) <= self._forgotten_before.get(fill.venue, -1)

    def _index(self, key: FillKey, booked: BookedFill) -> None:
        if is_inferred(booked.fill) and not booked.is_voided:
            self._inferred[key] = None

    def _forget_oldest(self) -> None:
        key = next(iter(self._fills))
        booked = self._fills.pop(key)
        self._inferred.pop(key, None)
        venue, time_ns = booked.fill.venue, _time_of(booked.fill)
        self._forgotten_before[venue] = max(time_ns, self._forgotten_before.get(venue, -1))


def is_same_trade(fill: Fill, other: Fill) -> bool:
    """Whether two reports of one fill id agree on what was traded. Times and order ids may differ by source."""
    return bool(_traded(fill) == _traded(other))


def is_inferred(fill: Fill) -> bool:
    """Whether a fill was worked out and not listed: it may be replaced when the venue lists it."""
    return fill.source is not FillSource.LISTED


def cost_of(fill: Fill) -> Money:
    """What a fill cost (bought) or brought (sold), exactly, in the instrument's money, before fees."""
    return Money(fill.price * fill.size) if fill.cost is None else fill.cost


def _time_of(fill: Fill) -> int:
    return fill.ts_venue or fill.ts_recv
