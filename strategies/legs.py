"""What strategies that trade several instruments at once share: their legs are sent together, and come out even.

A trade is a list of legs: so much of each instrument, at so much or better. All legs leave in one step. Then only what
is booked counts: the own position in each instrument against that of the start. As long as an order of a leg may still
trade, also one whose outcome is unknown, nothing else is sent: so nothing is ever doubled. When all have ended and the
legs are not even:

1. for `work_out_ms` the missing size is traded, at most `slip` worse than the leg's price;
2. after that what is too much is flattened, at most `slip` worse than the leg's price, in turns with 1;
3. while neither is possible, because a book is not fresh, a venue is down or prices are beyond the bound, the leg is
   held and reported every `report_ms`.

The trade is saved before its orders leave. After a restart it goes on by the positions that the journal holds, and a
fill that comes late is worked out in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec.structs import replace
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.intents import CancelOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side, TimeInForce
from framework.domain.ports import Desk
from framework.domain.rate_limits import RequestKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.views import BookView

_NS_PER_MS = 1_000_000
LEVELS = 10
"""So many levels of a book are looked at."""


def _refuse_float(value: object) -> object:
    if isinstance(value, float):
        raise ValueError(f'{value!r} is not exact; write it as text, for example "10.5"')
    return value


Exact = Annotated[Decimal, BeforeValidator(_refuse_float)]
"""An exact decimal of a configuration: text or a whole number."""


class LegSettings(BaseModel):
    """How legs are sent and brought to even. Times are in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    age_ms_max: int = Field(1_000, gt=0, description="No order on a book that is older.")
    order_ms_max: int = Field(
        1_000, gt=0, description="An order is cancelled after this time, where the venue has no immediate-or-cancel."
    )
    work_out_ms: int = Field(
        2_000, ge=0, description="For so long the missing size of a leg is traded before the others are flattened."
    )
    retry_ms: int = Field(500, gt=0, description="Shortest time between two attempts to bring the legs to even.")
    pause_ms: int = Field(5_000, ge=0, description="No new trade for so long after one that was refused or uneven.")
    report_ms: int = Field(10_000, gt=0, description="A leg that is held is reported so often.")


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One order of a trade. All numbers are scaled by the instrument's decimals.

    `price` is the worst price of the first order, on the grid; `slip` how much worse the leg may be completed or
    flattened; `rest` what may stay uneven. `start` is the own position that the leg counts from.
    """

    instrument: InstrumentId
    side: Side
    price: Price
    size: Size
    slip: Price
    rest: Size = Size(0)
    start: Size = Size(0)


class Trade(msgspec.Struct, frozen=True):
    """Legs that belong together, as they are saved; `began_ns` is wall time."""

    legs: tuple[Leg, ...]
    began_ns: int


class Want(NamedTuple):
    """What a leg lacks (above 0) or has too much of, scaled, in whole lots."""

    leg: Leg
    size: int


def refuse_digits(instrument: Instrument, settings: BaseModel, *, sizes: Sequence[str], prices: Sequence[str]) -> None:
    """Look that the named settings are sizes and prices of the instrument. Raises `ValueError`, which names the
    setting, for one with more digits."""
    for names, scale, decimals in (
        (sizes, instrument.size, instrument.size_decimals),
        (prices, instrument.price, instrument.price_decimals),
    ):
        for name in names:
            value = getattr(settings, name)
            try:
                scale(value)
            except ValueError:
                raise ValueError(f"{name}: {value} for {instrument.id}; give at most {decimals} decimals") from None


def fresh_book(desk: Desk, instrument: Instrument, age_ns_max: int) -> BookView | None:
    """The book, if an order may rely on it: active instrument, nothing missed, not crossed, not older; else None."""
    book = desk.book(instrument.id)
    is_usable = (
        instrument.status is InstrumentStatus.ACTIVE and book.is_fresh and book.age_ns(desk.monotonic_ns) <= age_ns_max
    )
    is_crossed = book.bid is not None and book.ask is not None and book.bid >= book.ask
    return book if is_usable and not is_crossed else None


def reach(book: BookView, side: Side, size: int, worst: Price) -> Price | None:
    """The price up to which an order of `side` takes `size` of the book, or what there is of it within `worst`; None
    where the best price is beyond it already."""
    price, left = None, size
    for level, there in book.depth(side.opposite, LEVELS):
        if left <= 0 or (level - worst) * side.sign > 0:
            break
        price, left = level, left - there
    return price


def is_tradable(instrument: Instrument, price: Price, size: int) -> bool:
    """Whether the venue takes an order of this size: its least size and least value."""
    return size >= max(instrument.size_min, 1) and price * size >= instrument.notional_min


def time_in_force(desk: Desk, instrument: Instrument) -> TimeInForce:
    """Immediate-or-cancel where the venue has it, else good-till-cancelled."""
    offered = desk.terms(instrument.venue).times_in_force
    now = TimeInForce.IMMEDIATE_OR_CANCEL
    return now if now in offered else TimeInForce.GOOD_TILL_CANCELLED


class LegTrader:
    """The legs of one strategy: at most one trade at a time. Call `resume` in `on_start`, `look` at each event of an
    own order and from a timer several times a second, and `begin` for a new trade."""

    def __init__(self, strategy: Strategy[Any], settings: LegSettings) -> None:
        self._strategy = strategy
        self._desk = strategy.desk
        self._settings = settings
        self._trade: Trade | None = None
        self._attempts = 0
        self._is_settled = True
        self._next_ns = self._report_ns = self._settled_ns = 0

    def resume(self) -> None:
        """Take up the trade that was saved. Raises `msgspec.DecodeError` for bytes that another strategy saved."""
        if not self._desk.saved:
            return
        trade = msgspec.json.decode(self._desk.saved, type=Trade)
        try:
            self._desk.log("takes up its last trade", legs=self._traded(trade))
        except KeyError as e:
            self._desk.log("its last trade was in a market that is gone", why=str(e))
            return
        self._trade, self._is_settled = trade, False
        self.look()

    @property
    def is_idle(self) -> bool:
        """Whether a new trade may begin: no order is open, the last trade is even, and no pause runs."""
        return self._is_settled and self._desk.monotonic_ns >= self._next_ns and not self._desk.orders()

    def book(self, instrument: Instrument) -> BookView | None:
        """The book, if a new trade may rely on it: as `fresh_book`, and proved since the last trade, so that what was
        taken is not counted again."""
        since_ns = self._desk.monotonic_ns - self._settled_ns
        return fresh_book(self._desk, instrument, min(self._age_ns_max, since_ns - 1))

    def begin(self, legs: Sequence[Leg]) -> bool:
        """Send all legs in one step; False when that is not possible, and then none of them leaves."""
        if not self.is_idle or not self._has_budget(legs):
            return False
        self._trade = Trade(tuple(replace(leg, start=self._even_position(leg)) for leg in legs), self._desk.now_ns)
        self._is_settled, self._attempts = False, 0
        # In the journal before the orders: a crash in between leaves a trade of which nothing has traded.
        self._desk.save(msgspec.json.encode(self._trade))
        placed: list[OrderHandle] = []
        for leg in self._trade.legs:
            handle = self._send(leg, leg.side, leg.price, leg.size)
            if not handle.is_approved:
                # Nothing has left yet: requests leave after this call, and one that is to end does not.
                for one in placed:
                    one.cancel()
                return False
            placed.append(handle)
        return True

    def look(self) -> None:
        """Do what the trade needs now: wait for orders, bring the legs to even, or report that they are held."""
        trade, desk = self._trade, self._desk
        if trade is None:
            return
        if open_orders := [order for leg in trade.legs for order in desk.orders(leg.instrument)]:
            self._wait_for(open_orders)
            return
        if any(desk.instrument(leg.instrument).status.is_over for leg in trade.legs):
            self._end(trade, "trade ends with its market")
            self._trade = None
            return
        missing, surplus = self._wants(trade, most=True), self._wants(trade, most=False)
        if not missing and not surplus:
            self._end(trade, "legs are even")
            return
        if self._is_settled:  # A fill came late.
            self._is_settled, self._attempts = False, 0
        if desk.monotonic_ns >= self._next_ns or self._attempts == 0:
            self._bring_to_even(trade, missing, surplus)

    def _bring_to_even(self, trade: Trade, missing: list[Want], surplus: list[Want]) -> None:
        self._attempts += 1
        self._next_ns = self._desk.monotonic_ns + self._settings.retry_ms * _NS_PER_MS
        is_late = self._desk.now_ns - trade.began_ns >= self._settings.work_out_ms * _NS_PER_MS
        # In turns: where the venue refuses one of them again and again, the other one is possible perhaps.
        plans = [surplus, missing] if self._attempts % 2 else [missing, surplus]
        for plan in plans if is_late else [missing]:
            orders = [(want, price) for want in plan if (price := self._price_of(want)) is not None]
            if orders and (plan is surplus or len(orders) == len(plan)):
                sent = [want for want, price in orders if self._send_for(want, price).is_approved]
                if sent:
                    doing = "flattens a leg" if sent[0].size < 0 else "works a leg out"
                    self._desk.log(doing, legs=", ".join(self._text(*want) for want in sent))
                return
        if is_late:
            self._report("leg held: no fresh book within the bound", legs=self._traded(trade))

    def _wants(self, trade: Trade, *, most: bool) -> list[Want]:
        """What is to be traded so that every leg has the part of its size that the one with the most, or with the
        least, has; without what is too small to trade."""
        done = [(leg, self._done(leg)) for leg in trade.legs]
        parts = [Fraction(has, leg.size) for leg, has in done]
        part = min(max(parts), Fraction(1)) if most else max(min(parts), Fraction(0))
        wants = []
        for leg, has in done:
            instrument = self._desk.instrument(leg.instrument)
            lacks = int(part * leg.size) - has
            size = abs(lacks) - abs(lacks) % instrument.lot
            if size > leg.rest and is_tradable(instrument, leg.price, size):
                wants.append(Want(leg, size if lacks > 0 else -size))
        return wants

    def _send_for(self, want: Want, price: Price) -> OrderHandle:
        side = want.leg.side if want.size > 0 else want.leg.side.opposite
        return self._send(want.leg, side, price, Size(abs(want.size)))

    def _price_of(self, want: Want) -> Price | None:
        """The price at which the want is traded now; None where no fresh book offers one within the bound."""
        leg, instrument = want.leg, self._desk.instrument(want.leg.instrument)
        side = leg.side if want.size > 0 else leg.side.opposite
        worst = Price(leg.price + side.sign * leg.slip)
        worst = instrument.round_down(worst) if side is Side.BUY else instrument.round_up(worst)
        book = fresh_book(self._desk, instrument, self._age_ns_max)
        return None if book is None else reach(book, side, abs(want.size), worst)

    def _send(self, leg: Leg, side: Side, price: Price, size: Size) -> OrderHandle:
        instrument = self._desk.instrument(leg.instrument)
        handle = self._strategy.place(
            side,
            leg.instrument,
            price,
            size,
            time_in_force=time_in_force(self._desk, instrument),
            deadline_ns=self._desk.now_ns + self._age_ns_max,
        )
        if (refusal := handle.refusal) is not None:
            self._report("leg refused", instrument=leg.instrument, code=refusal.code.value, why=refusal.detail)
        return handle

    def _wait_for(self, orders: Sequence[Order]) -> None:
        for order in orders:
            is_old = self._desk.now_ns - order.created_ns >= self._settings.order_ms_max * _NS_PER_MS
            if is_old and order.status.is_at_venue and not order.cancel_wanted:
                self._desk.submit(CancelOrder(strategy=self._strategy.name, client_order_id=order.client_order_id))
            elif is_old and order.status is OrderStatus.UNKNOWN:
                self._report("leg held: the outcome of an order is unknown", order=order.client_order_id)

    def _end(self, trade: Trade, message: str) -> None:
        if self._is_settled:
            return
        self._is_settled, self._settled_ns = True, self._desk.monotonic_ns
        if self._attempts or any(self._done(leg) < leg.size for leg in trade.legs):
            self._next_ns = self._settled_ns + self._settings.pause_ms * _NS_PER_MS
        self._desk.log(message, attempts=self._attempts, legs=self._traded(trade))

    def _even_position(self, leg: Leg) -> Size:
        """The position that counts as even: what is too small to trade is carried over from trade to trade."""
        if self._trade is not None:
            part = min(Fraction(self._done(one), one.size) for one in self._trade.legs)
            for one in self._trade.legs:
                if one.instrument == leg.instrument:
                    return Size(one.start + one.side.sign * int(max(part, Fraction(0)) * one.size))
        return self._desk.position(leg.instrument).size

    def _has_budget(self, legs: Sequence[Leg]) -> bool:
        """Whether the rate limits leave each leg its order, another one to bring it to even, and their cancels."""
        venues = [self._desk.instrument(leg.instrument).venue for leg in legs]
        for venue in set(venues):
            budget, needed = self._desk.budget(venue), 2 * venues.count(venue)
            kinds = (RequestKind.NEW, RequestKind.CANCEL)
            if budget is None or any(budget.available(kind, self._strategy.name) < needed for kind in kinds):
                return False
        return True

    def _done(self, leg: Leg) -> int:
        """How much of the leg has traded, by the own position."""
        return (self._desk.position(leg.instrument).size - leg.start) * leg.side.sign

    def _traded(self, trade: Trade) -> str:
        return ", ".join(self._text(leg, self._done(leg)) for leg in trade.legs)

    def _text(self, leg: Leg, done: int) -> str:
        instrument = self._desk.instrument(leg.instrument)
        size, whole = instrument.size_text(Size(done)), instrument.size_text(leg.size)
        return f"{leg.instrument} {leg.side.value} {size} of {whole}"

    def _report(self, message: str, **fields: object) -> None:
        if self._desk.monotonic_ns >= self._report_ns:
            self._report_ns = self._desk.monotonic_ns + self._settings.report_ms * _NS_PER_MS
            self._desk.log(message, **fields)

    @property
    def _age_ns_max(self) -> int:
        return self._settings.age_ms_max * _NS_PER_MS
