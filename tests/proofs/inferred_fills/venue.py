"""A venue that does not list every fill, as it truly is: written from the words of `framework.domain` alone.

It keeps what happened and when, in its own integers. A read shows the account as it was at some time within the read
lag, each list at another one: a list that is read later may be older. What is read when is decided by the dice.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.errors import OutcomeUnknown, Retryable
from framework.domain.instruments import FeeSchedule, Instrument, InstrumentId, InstrumentKind, TickBand
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side
from framework.domain.terms import FillListing, PositionListing
from framework.domain.venue import IsClaimed
from framework.runtime.clock import ManualClock
from tests.proofs.inferred_fills.dialects import Dialect

VENUE = "reef"
MARKET = InstrumentId("reef:COIN")
INSTRUMENT = Instrument(
    id=MARKET,
    venue=VENUE,
    symbol="COIN",
    kind=InstrumentKind.SPOT,
    price_decimals=2,
    size_decimals=0,
    tick_bands=(TickBand(Price(10), Price(100_000), Price(10)),),
    base_currency="COIN",
    quote_currency="USD",
    fees=FeeSchedule(taker_rate="0.0005", maker_rate="0.0002"),
)
MS = 1_000_000
LATE_MS_MAX = 15_000
UNREAD = 0.04
"""How many reads are not answered."""


class Trade(msgspec.Struct):
    """A trade of an order. `listed_ns` is when the list of fills begins to show it, None for never."""

    number: int
    at_ns: int
    size: int
    price: int
    fee: int
    is_maker: bool
    listed_ns: int | None


class Held(msgspec.Struct, kw_only=True):
    """An order at the venue. `ends_ns` is when it ended or will, by a cancel that it has taken at `cancelled_ns`."""

    name: str
    venue_order_id: str
    side: Side
    price: int
    size: int
    created_ns: int
    trades: list[Trade] = []
    cancelled_ns: int | None = None
    ends_ns: int | None = None

    def filled(self, at_ns: int) -> int:
        """What had traded by then."""
        return sum(trade.size for trade in self.trades if trade.at_ns <= at_ns)

    def is_open(self, at_ns: int) -> bool:
        """Whether it could trade then."""
        return self.filled(at_ns) < self.size and (self.ends_ns is None or at_ns < self.ends_ns)


class Reef:
    """One account, and its gateway for look-ups. `is_calm`: every read is answered, as late as ever."""

    def __init__(self, rng: random.Random, clock: ManualClock, dialect: Dialect, lag_ms: int) -> None:
        self.rng, self.clock, self.terms, self.read_lag_ms = rng, clock, dialect.terms, lag_ms
        self._is_by_content = dialect.is_by_content
        self.orders: dict[str, Held] = {}
        self.others: list[tuple[int, int]] = []
        """When the position moved without an order of ours, and by how much."""
        self.is_calm = False
        self._count = 0

    @property
    def position(self) -> int:
        """The net position now."""
        return self._position_at(self.clock.now_ns())

    def place(self, order: Order) -> None:
        """Take an order in; it may trade at once, at a better price."""
        self._count += 1
        held = Held(
            name=order.client_order_id,
            venue_order_id=f"r{self._count}",
            side=order.side,
            price=order.price,
            size=order.size,
            created_ns=self.clock.now_ns(),
        )
        self.orders[held.name] = held
        if self.rng.random() < 0.3:
            self._trade(held, self.rng.randrange(1, held.size + 1), is_maker=False)

    def cancel(self, name: str) -> None:
        """Take a cancel; it is carried out at once, or later than reads lag."""
        held, now_ns = self.orders.get(name), self.clock.now_ns()
        if held is not None and held.cancelled_ns is None and held.is_open(now_ns):
            held.cancelled_ns = now_ns
            held.ends_ns = now_ns + self.rng.choice([0, 300, 4_000]) * MS

    def act(self) -> None:
        """Something happens, or nothing."""
        now_ns, dice = self.clock.now_ns(), self.rng.random()
        working = [held for held in self.orders.values() if held.is_open(now_ns)]
        if working and dice < 0.5:
            held = self.rng.choice(working)
            left = held.size - held.filled(now_ns)
            self._trade(held, left if self.rng.random() < 0.4 else self.rng.randrange(1, left + 1), is_maker=True)
        elif working and dice < 0.54:
            held = self.rng.choice(working)
            held.ends_ns = now_ns

    def move(self, size: int) -> None:
        """A liquidation, or a trade by hand."""
        self.others.append((self.clock.now_ns(), size))

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed) -> OrderSnapshot | None:
        """An order by the venue's id, else by ours or what was sent, or by content and time."""
        at_ns = self._read()
        known = [held for held in self.orders.values() if held.created_ns <= at_ns]
        if order.venue_order_id:
            found = [held for held in known if held.venue_order_id == order.venue_order_id]
        elif self._is_by_content:
            found = [one for one in self.alike(order, known) if not is_claimed(one.venue_order_id)]
        else:
            found = [held for held in known if held.name == order.client_order_id]
        if len(found) > 1:
            raise Retryable("several are like it")
        shown = [self._shown(held, at_ns) for held in found]
        return msgspec.structs.replace(shown[0], client_order_id=order.client_order_id) if shown else None

    def alike(self, order: Order, known: Iterable[Held]) -> list[Held]:
        """Those of the terms of an order that were made no earlier."""
        return [
            held
            for held in known
            if (held.side, held.price, held.size) == (order.side, order.price, order.size)
            and held.created_ns >= order.created_ns
        ]

    async def open_orders(self) -> tuple[OrderSnapshot, ...] | None:
        """What was open then."""
        if not self.terms.open_orders:
            return None
        at_ns = self._read()
        known = [held for held in self.orders.values() if held.created_ns <= at_ns and held.is_open(at_ns)]
        return tuple(self._shown(held, at_ns) for held in known)

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...] | None:
        """What the list shows; some of it late."""
        if self.terms.fills is FillListing.BY_ORDER:
            return None
        at_ns = self._read()
        shown = [
            (held, trade)
            for held in self.orders.values()
            for trade in held.trades
            if trade.listed_ns is not None and trade.listed_ns <= at_ns and trade.at_ns >= since_ns
        ]
        return tuple(self._fill(held, trade) for held, trade in sorted(shown, key=lambda one: one[1].at_ns))

    async def positions(self) -> tuple[PositionReport, ...] | None:
        """The net position then."""
        if self.terms.positions is PositionListing.NONE:
            return None
        size = self._position_at(self._read())
        asked_ns = self.clock.now_ns()
        report = PositionReport(venue=VENUE, instrument=MARKET, size=Size(size), ts_recv=asked_ns, mark=Price(5_000))
        return (report,) if size else ()

    def _read(self) -> int:
        """The time of which a read shows the account. Raises when it is not answered."""
        if not self.is_calm and self.rng.random() < UNREAD:
            raise self.rng.choice([Retryable("busy"), OutcomeUnknown("no answer")])
        return self.clock.now_ns() - self.rng.randrange(self.read_lag_ms * MS)

    def _position_at(self, at_ns: int) -> int:
        own = sum(held.side.sign * held.filled(at_ns) for held in self.orders.values())
        return own + sum(size for moved_ns, size in self.others if moved_ns <= at_ns)

    def _trade(self, held: Held, size: int, *, is_maker: bool) -> None:
        now_ns, better = self.clock.now_ns(), self.rng.randrange(0, 4) * (0 if is_maker else 10)
        price = held.price - held.side.sign * better
        fee = price * size * (2 if is_maker else 5) // 10_000
        late_ms = self.rng.choice([0, 0, self.rng.randrange(self.read_lag_ms), self.rng.randrange(LATE_MS_MAX)])
        is_listed = not is_maker or self.rng.random() < 0.08
        if self.terms.fills is FillListing.LISTED:
            # Every one, and as soon as reads show the order itself.
            late_ms, is_listed = 0, True
        self._count += 1
        listed_ns = now_ns + late_ms * MS if is_listed else None
        held.trades.append(Trade(self._count, now_ns, size, price, fee, is_maker, listed_ns))

    def _shown(self, held: Held, at_ns: int) -> OrderSnapshot:
        """The order as stated: with all amounts where fills are listed nowhere, else by its status alone."""
        filled, is_open = held.filled(at_ns), held.is_open(at_ns)
        shown = OrderSnapshot(
            venue=VENUE,
            venue_order_id=held.venue_order_id,
            client_order_id=held.name if self.terms.client_ids else "",
            instrument=MARKET,
            side=held.side,
            price=Price(held.price),
            size=Size(held.size),
            filled=Size(filled),
            is_open=is_open,
            ts_recv=self.clock.now_ns(),
            created_ns=held.created_ns,
            is_cancelling=is_open and held.cancelled_ns is not None and held.cancelled_ns <= at_ns,
        )
        if self.terms.fills is FillListing.TAKER_ONLY:
            stated = held.size if filled == held.size else min(filled, 1) if is_open else 0
            return msgspec.structs.replace(shown, filled=Size(stated))
        traded = [trade for trade in held.trades if trade.at_ns <= at_ns]
        cost, fees = sum(one.size * one.price for one in traded), sum(one.fee for one in traded)
        return msgspec.structs.replace(shown, cost=Money(cost), fees=Money(fees))

    def _fill(self, held: Held, trade: Trade) -> Fill:
        return Fill(
            venue=VENUE,
            instrument=MARKET,
            fill_id=f"t{trade.number}",
            venue_order_id=held.venue_order_id,
            client_order_id="",
            side=held.side,
            price=Price(trade.price),
            size=Size(trade.size),
            fee=Money(trade.fee),
            is_maker=trade.is_maker,
            ts_venue=trade.at_ns,
            ts_recv=self.clock.now_ns(),
        )
