"""A venue as it truly is, and what it tells of itself: written from the words of `framework.domain` alone.

Times are the venue's own and strictly increase. Every `Telling` is true when it is made; how late, how often or whether
it arrives is decided elsewhere.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from framework.domain.account_events import (
    Fill,
    FillSource,
    FillVoided,
    InstrumentSettled,
    OrderReport,
    OrderSnapshot,
    ReportKind,
)
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side
from tests.proofs.event_order.words import (
    MARKETS,
    TICK_NS,
    VENUE,
    Ask,
    End,
    Request,
    Telling,
    Trade,
    VenueOrder,
    Version,
)


class Venue:
    """One account at one venue."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._now = 0
        self.orders: dict[str, VenueOrder] = {}
        self.settled: dict[InstrumentId, int] = {}
        self._settled_at: dict[InstrumentId, int] = {}
        self._count = 0
        self._fill_count = 0

    def find(self, name: str) -> VenueOrder | None:
        """The order of this client id or, for one without, of this venue id."""
        return self.orders.get(name)

    def take(self, request: Request) -> list[Telling]:
        """A request arrives: decide it and answer."""
        request.decided_at = self._tick()
        if request.ask is Ask.NEW:
            return self._place(request)
        order = self.orders.get(request.name)
        if order is None or not order.is_open:
            return [self._refusal(request, self._rng.choice(["not_found", "too_late"]))]
        if request.ask is Ask.CANCEL:
            if self._rng.random() < 0.15:
                return [self._refusal(request, "busy")]
            request.is_granted = True
            if order.is_cancelling or self._rng.random() < 0.25:
                return self._taken(order, request)
            return self._ended(order, End.CANCELLED, request)
        if request.size <= order.traded or self._rng.random() < 0.3:
            return [self._refusal(request, "bad_terms")]
        request.is_granted = True
        order.price, order.size = request.price, request.size
        self._write(order)
        report = self._report(
            order, ReportKind.AMENDED, price=Price(order.price), size=Size(order.size), ts_venue=request.decided_at
        )
        return [Telling(record=report, name=order.name, request=request), *self._streamed(order)]

    def place_by_hand(self, *, has_client_id: bool) -> list[Telling]:
        """Somebody else trades on the account."""
        self._count += 1
        venue_order_id = f"v{self._count}"
        name = f"hand-{self._count}" if has_client_id else f"{VENUE}/{venue_order_id}"
        order = VenueOrder(
            name=name,
            venue_order_id=venue_order_id,
            strategy="",
            market=self._rng.choice(MARKETS),
            side=self._rng.choice(list(Side)),
            price=self._rng.randrange(20, 80),
            size=self._rng.randrange(2, 12),
        )
        self._tick()
        self._admit(order)
        return [self.listing(order)]

    def trade(self, order: VenueOrder, size: int, *, is_hidden: bool = False) -> list[Telling]:
        """A trade. More than is left is the venue's own fault, and true all the same. A hidden one nobody tells."""
        self._fill_count += 1
        trade = Trade(f"f{self._fill_count}", size, order.price, self._rng.randrange(4), self._tick())
        trade.is_hidden = is_hidden
        order.trades.append(trade)
        if order.traded >= order.size:
            order.end = End.FILLED
        self._write(order)
        return [] if is_hidden else [self.fill(order, trade), *self._streamed(order)]

    def end(self, order: VenueOrder, end: End) -> list[Telling]:
        """The venue ends an order by itself."""
        self._tick()
        return self._ended(order, end, None)

    def bust(self, order: VenueOrder, trade: Trade) -> list[Telling]:
        """Take a trade back. The order does not get its size back."""
        self._tick()
        trade.is_voided = True
        return [self.void(order, trade)]

    def settle(self, market: InstrumentId, value: int) -> list[Telling]:
        """End everything in a market and pay out."""
        tellings: list[Telling] = []
        for order in self.orders.values():
            if order.market == market and order.is_open:
                tellings += self.end(order, End.CANCELLED)
        self.settled[market], self._settled_at[market] = value, self._tick()
        return [*tellings, self.settlement(market)]

    def listing(self, order: VenueOrder, *, version: int = -1, has_client_id: bool = True) -> Telling:
        """An order as listed, now or as it stood in an older version."""
        stood = order.versions[version]
        is_named = (has_client_id or not order.strategy) and not order.name.startswith(VENUE)
        record = OrderSnapshot(
            venue=VENUE,
            venue_order_id=order.venue_order_id,
            client_order_id=order.name if is_named else "",
            instrument=order.market,
            side=order.side,
            price=Price(stood.price),
            size=Size(stood.size),
            filled=Size(stood.traded),
            is_open=stood.end is End.NONE,
            ts_recv=0,
            ts_venue=stood.at,
            is_cancelling=stood.is_cancelling and stood.end is End.NONE,
        )
        return Telling(record=record, name=order.name)

    def fill(self, order: VenueOrder, trade: Trade) -> Telling:
        """A trade as told; some sources name the order by the venue's id only."""
        is_named = bool(order.strategy) and self._rng.random() < 0.5
        record = Fill(
            venue=VENUE,
            instrument=order.market,
            fill_id=trade.fill_id,
            venue_order_id=order.venue_order_id,
            client_order_id=order.name if is_named else "",
            side=order.side,
            price=Price(trade.price),
            size=Size(trade.size),
            fee=Money(trade.fee),
            is_maker=True,
            ts_venue=trade.at,
            ts_recv=0,
        )
        return Telling(record=record, name=order.name)

    def inferred(self, order: VenueOrder, trade: Trade) -> Telling:
        """What our own side works out of a hidden trade: its size at the order's price, under a name of its own."""
        real = self.fill(order, trade).record
        made = msgspec.structs.replace(
            real, fill_id=f"{trade.fill_id}#", price=Price(order.price), fee=Money(5), source=FillSource.INFERRED_ORDER
        )
        return Telling(record=made, name=order.name)

    def void(self, order: VenueOrder, trade: Trade, *, is_of_inferred: bool = False) -> Telling:
        """That a trade was taken back, or what was inferred of it."""
        name = f"{trade.fill_id}#" if is_of_inferred else trade.fill_id
        record = FillVoided(venue=VENUE, fill_id=name, ts_recv=0, reason="bust")
        return Telling(record=record, name=order.name)

    def settlement(self, market: InstrumentId) -> Telling:
        """What a market paid."""
        record = InstrumentSettled(market, Price(self.settled[market]), self._settled_at[market], 0)
        return Telling(record=record, name="")

    def not_listed(self, order: VenueOrder) -> Telling:
        """What a look-up concludes of an ended order that the venue lists no more."""
        return Telling(record=self._report(order, ReportKind.CANCELLED, code="not_listed"), name=order.name)

    def _place(self, request: Request) -> list[Telling]:
        is_refused = request.market in self.settled or self._rng.random() < 0.12
        if is_refused:
            refusal = self._plain(request, ReportKind.REJECTED, "no_funds")
            return [Telling(record=refusal, name=request.name, request=request)]
        request.is_granted = True
        self._count += 1
        order = VenueOrder(
            name=request.name,
            venue_order_id=f"v{self._count}",
            strategy=request.strategy,
            market=request.market,
            side=request.side,
            price=request.price,
            size=request.size,
        )
        self._admit(order)
        terms = {"price": Price(order.price), "size": Size(order.size)} if self._rng.random() < 0.5 else {}
        report = self._report(order, ReportKind.ACCEPTED, ts_venue=request.decided_at, **terms)
        return [Telling(record=report, name=order.name, request=request), *self._streamed(order)]

    def _admit(self, order: VenueOrder) -> None:
        self._write(order)
        self.orders[order.name] = order

    def _taken(self, order: VenueOrder, request: Request) -> list[Telling]:
        """A cancel that is carried out later: the order can trade until then."""
        order.is_cancelling = True
        self._write(order)
        answer = self._report(order, ReportKind.CANCEL_PENDING, ts_venue=request.decided_at)
        return [Telling(record=answer, name=order.name, request=request), *self._streamed(order)]

    def _ended(self, order: VenueOrder, end: End, request: Request | None) -> list[Telling]:
        order.end = end
        self._write(order)
        filled = Size(order.traded) if self._rng.random() < 0.5 else None
        kind = ReportKind.EXPIRED if end is End.EXPIRED else ReportKind.CANCELLED
        report = self._report(order, kind, filled=filled, ts_venue=self._now)
        answer = [Telling(record=report, name=order.name, request=request)]
        if request is None and self._rng.random() < 0.4:
            return self._streamed(order, chance=1.0)
        return [*answer, *self._streamed(order)]

    def _streamed(self, order: VenueOrder, *, chance: float = 0.4) -> list[Telling]:
        if self._rng.random() >= chance:
            return []
        return [self.listing(order, has_client_id=self._rng.random() < 0.7)]

    def _refusal(self, request: Request, code: str) -> Telling:
        kind = ReportKind.CANCEL_REFUSED if request.ask is Ask.CANCEL else ReportKind.AMEND_REFUSED
        return Telling(record=self._plain(request, kind, code), name=request.name, request=request)

    def _plain(self, request: Request, kind: ReportKind, code: str) -> OrderReport:
        return OrderReport(venue=VENUE, client_order_id=request.name, kind=kind, ts_recv=0, code=code)

    def _report(self, order: VenueOrder, kind: ReportKind, **stated: Any) -> OrderReport:
        return OrderReport(
            venue=VENUE,
            client_order_id="" if order.name.startswith(VENUE) else order.name,
            kind=kind,
            ts_recv=0,
            venue_order_id=order.venue_order_id,
            **stated,
        )

    def _write(self, order: VenueOrder) -> None:
        order.versions.append(Version(self._now, order.price, order.size, order.traded, order.end, order.is_cancelling))

    def _tick(self) -> int:
        self._now += TICK_NS
        return self._now
