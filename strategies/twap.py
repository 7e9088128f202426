"""TWAP: buys or sells a given size in equal parts over a given time, never beyond a price limit.

The time is cut into `slices`. At the end of slice k of n, k/n of the size should have traded. What is due and has not
traded is asked for by one order at a time: with `style = "join"` it rests at the best price of its own side until the
slice ends, then the next one asks for what is left; with "take" it trades at once with what is shown, as much as
`depth_percent` of it. The last slice takes all that it finds, so that everything has traded by the end if the limit
allows it.

One execution has a name, `run`. When it began and from which position it counts is saved: after a restart it goes on
with what is left of its time, and one that has ended does not begin again. What counts is the own position: where a fee
is taken in the coin that was bought, the fee is bought, too.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import CancelOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.ports import Desk
from framework.domain.rate_limits import RequestKind
from framework.domain.strategy import OrderTerms, Strategy
from framework.domain.views import BookView, PositionView
from strategies.legs import LEVELS, Exact, fresh_book, is_tradable, reach, refuse_digits, time_in_force

_NS_PER_MS = 1_000_000
_CHECK = "check"


class TwapSettings(BaseModel):
    """What is to be traded, when, and at which price at the worst. Times are in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(min_length=1, description="Name of this execution. A new name begins a new one.")
    side: Side = Field(description='"buy" or "sell".')
    size: Exact = Field(gt=0, allow_inf_nan=False, description="What is to be traded, in contracts or coins.")
    price_limit: Exact = Field(gt=0, allow_inf_nan=False, description="The worst price of every order.")
    duration_ms: int = Field(gt=0, description="The time from the start to the end.")
    slices: int = Field(10, ge=1, le=10_000, description="In so many equal parts.")
    style: Literal["join", "take"] = Field(
        "join", description='"join" rests at the best price of the own side, "take" trades at once.'
    )
    depth_percent: int = Field(
        50,
        ge=1,
        le=100,
        description="What takes takes at most so much of the size shown, but all of it in the last slice.",
    )
    check_ms: int = Field(500, gt=0, description="So often it looks what is due; the shortest time between two orders.")
    age_ms_max: int = Field(2_000, gt=0, description="No order on a book that is older.")


class Run(msgspec.Struct):
    """One execution as it is saved: what it is, when it began (wall time), the own position and what it had cost then,
    scaled by the instrument, and whether it has ended."""

    run: str
    what: str
    start_ns: int
    position: Size
    spent: Money
    is_over: bool = False


class Schedule(NamedTuple):
    """Where an execution stands: the number of the slice from 1 on, when that began, and whether the time is over."""

    slice: int
    slice_start_ns: int
    is_over: bool


def schedule(start_ns: int, now_ns: int, duration_ms: int, slices: int) -> Schedule:
    """The slice of a time. One before the start, after a step of the clock, belongs to the first."""
    duration_ns = duration_ms * _NS_PER_MS
    elapsed_ns = min(max(now_ns - start_ns, 0), duration_ns)
    done = min(elapsed_ns * slices // duration_ns, slices - 1)
    return Schedule(done + 1, start_ns + duration_ns * done // slices, elapsed_ns == duration_ns)


class Twap(Strategy[TwapSettings]):
    """Trades a size in equal parts over time, within a price limit. It has one instrument."""

    Settings: ClassVar[type[TwapSettings]] = TwapSettings

    def __init__(self, name: str, settings: TwapSettings, desk: Desk) -> None:
        super().__init__(name, settings, desk)
        self._run: Run | None = None
        self._traded = InstrumentId("")
        self._next_ns = 0
        self._refused = ""

    def on_start(self) -> None:
        """Begin the execution, or go on with it. Raises `ValueError` for another number of instruments than one, for
        settings that do not fit it, and for a run of this name that was something else."""
        named, settings = self.desk.instruments, self.settings
        if len(named) != 1:
            raise ValueError(f"instruments: {', '.join(named) or 'none'}; give one")
        instrument = self.desk.instrument(named[0])
        refuse_digits(instrument, settings, sizes=("size",), prices=("price_limit",))
        if not instrument.is_on_grid(instrument.price(settings.price_limit)):
            raise ValueError(f"price_limit: {settings.price_limit} is not on the grid of {instrument.id}")
        what = f"{settings.side.value} {settings.size} {instrument.id} in {settings.duration_ms} ms"
        saved = msgspec.json.decode(self.desk.saved, type=Run) if self.desk.saved else None
        if saved is None or saved.run != settings.run:
            position = self.desk.position(instrument.id)
            saved = Run(settings.run, what, self.desk.now_ns, position.size, _spent(position))
        elif saved.what != what:
            raise ValueError(f"run: {settings.run!r} was {saved.what}, not {what}; give it a new name")
        self._run, self._traded = saved, instrument.id
        self.desk.save(msgspec.json.encode(saved))
        self._say("ended before" if saved.is_over else "executes", saved, instrument)
        self.on_timer(_CHECK)

    def on_instrument(self, instrument: Instrument) -> None:
        """The execution ends with its instrument."""
        self._look()

    def on_timer(self, name: str) -> None:
        """Ask for what is due, and look again soon."""
        self._look()
        if self._run is not None and not self._run.is_over:
            self.desk.set_timer(_CHECK, after_ms=self.settings.check_ms)

    def on_book(self, book: BookView) -> None:
        """Ask for what is due at the new prices."""
        self._look()

    def on_order(self, order: Order) -> None:
        """Go on when the order of the last slice has ended."""
        self._look()

    def _look(self) -> None:
        run, desk = self._run, self.desk
        if run is None or run.is_over:
            return
        instrument, orders = desk.instrument(self._traded), desk.orders(self._traded)
        at = schedule(run.start_ns, desk.now_ns, self.settings.duration_ms, self.settings.slices)
        done, size = self._done(run), instrument.size(self.settings.size)
        is_over = at.is_over or done >= size or instrument.status.is_over
        is_last = at.slice == self.settings.slices
        is_taking = self.settings.style == "take" or is_last
        for order in orders:
            is_late = desk.now_ns - order.created_ns >= self.settings.check_ms * _NS_PER_MS
            if is_over or order.created_ns < at.slice_start_ns or (is_taking and is_late):
                self._cancel(order)
        # One order at a time: what may still trade, also where its outcome is unknown, is not asked for again.
        if orders:
            return
        if is_over:
            self._end(run, instrument)
        elif desk.monotonic_ns >= self._next_ns:
            due = size * at.slice // self.settings.slices - done
            percent = self.settings.depth_percent if is_taking else 0
            self._ask(instrument, due, take_percent=100 if is_last else percent)

    def _ask(self, instrument: Instrument, due: int, *, take_percent: int) -> None:
        """Place one order for what is due, as far as book, limit and rate budget allow it: one that takes so much of
        the size shown, or with 0 one that rests."""
        side, limit = self.settings.side, instrument.price(self.settings.price_limit)
        book = fresh_book(self.desk, instrument, self.settings.age_ms_max * _NS_PER_MS)
        if book is None or not self._has_budget(instrument):
            return
        terms = OrderTerms(deadline_ns=self.desk.now_ns + self.settings.age_ms_max * _NS_PER_MS)
        if take_percent:
            due = min(due, self._shown(book, side, limit) * take_percent // 100)
            price = reach(book, side, due, limit)
            terms["time_in_force"] = time_in_force(self.desk, instrument)
        else:
            best = book.bid if side is Side.BUY else book.ask
            price = None if best is None else Price(side.sign * min(side.sign * best, side.sign * limit))
            terms["time_in_force"] = TimeInForce.GOOD_TILL_CANCELLED
            terms["post_only"] = self.desk.terms(instrument.venue).post_only
        due -= due % instrument.lot
        if price is None or not is_tradable(instrument, price, due):
            return
        self._next_ns = self.desk.monotonic_ns + self.settings.check_ms * _NS_PER_MS
        refusal = self.place(side, instrument.id, price, Size(due), **terms).refusal
        if refusal is not None and refusal.code.value != self._refused:
            self.desk.log("order refused", run=self.settings.run, code=refusal.code.value, why=refusal.detail)
        self._refused = "" if refusal is None else refusal.code.value

    def _shown(self, book: BookView, side: Side, limit: Price) -> int:
        levels = book.depth(side.opposite, LEVELS)
        return sum(size for price, size in levels if (price - limit) * side.sign <= 0)

    def _has_budget(self, instrument: Instrument) -> bool:
        """Whether the rate limits leave the order and its cancel."""
        budget = self.desk.budget(instrument.venue)
        kinds = (RequestKind.NEW, RequestKind.CANCEL)
        return budget is not None and all(budget.available(kind, self.name) > 0 for kind in kinds)

    def _cancel(self, order: Order) -> None:
        if order.status.is_at_venue and not order.cancel_wanted:
            self.desk.submit(CancelOrder(strategy=self.name, client_order_id=order.client_order_id))

    def _done(self, run: Run) -> int:
        return (self.desk.position(self._traded).size - run.position) * self.settings.side.sign

    def _end(self, run: Run, instrument: Instrument) -> None:
        run.is_over = True
        self.desk.save(msgspec.json.encode(run))
        self._say("ends", run, instrument)

    def _say(self, doing: str, run: Run, instrument: Instrument) -> None:
        done, spent = self._done(run), _spent(self.desk.position(instrument.id)) - run.spent
        self.desk.log(
            f"TWAP {doing}",
            run=run.run,
            what=run.what,
            done=instrument.size_text(Size(done)),
            left=instrument.size_text(Size(instrument.size(self.settings.size) - done)),
            average=instrument.price_text(Price(abs(spent) // done)) if done > 0 else "",
        )


def _spent(position: PositionView) -> Money:
    """What all trades so far have cost, less what they have brought."""
    return Money(position.cost - position.realised)
