"""A scripted venue: takes every request at once, unless a test says what it answers and when.

How orders fill, besides `fill`, which a test calls:

* a new or amended order that reaches a quoted price of the other side takes that depth as a taker, best level first;
  what it takes is gone until the next quote;
* a resting order fills as a maker, at its own price, when a quote of the other side reaches its price (up to the
  quoted size) or when a trade prints beyond its price (up to the size of the print). A print at its price does not
  fill it: nobody knows its place in the queue.

* a market order takes what it reaches up to its price, the worst acceptable one, and its rest ends. One by amount takes
  whole lots until what is left of its amount buys or sells none, and has then ended as filled;
* an order with a trigger waits outside of the book. By the last price it is released by a trade at the trigger's price
  or beyond it, by the mark price when the mid of a two-sided quote gets there; then it is like a new one. What the
  market did before it came releases nothing.

Our own orders are no part of the quoted depth and do not trade with each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import count
from math import ceil
from typing import Any

import msgspec

from framework.domain.account_events import (
    Fill,
    InstrumentDefined,
    InstrumentSettled,
    OrderReport,
    OrderSnapshot,
    ReportKind,
)
from framework.domain.events import Event
from framework.domain.instruments import FeeModel, Instrument, InstrumentId, InstrumentKind, InstrumentStatus, TickBand
from framework.domain.intents import CancelAll, CancelOrder, NewOrder
from framework.domain.market_events import (
    BookSnapshot,
    ConnectorStatus,
    Level,
    LimitsDeclared,
    RequestCompleted,
    RequestOutcome,
    TermsDeclared,
    TradePrint,
)
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side, TimeInForce, Trigger, TriggerBy, TriggerKind
from framework.domain.ports import Clock
from framework.domain.rate_limits import RateLimits
from framework.domain.strategy import OrderHandle
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.verdicts import Approved
from framework.execution.request_sender import NOT_SENT_AS, UNKNOWN_AS

VENUE = "practice"
INSTRUMENT = Instrument(
    id=InstrumentId(f"{VENUE}:TEST"),
    venue=VENUE,
    symbol="TEST",
    kind=InstrumentKind.BINARY,
    quote_currency="USD",
    price_decimals=4,
    size_decimals=2,
    tick_bands=(TickBand(Price(100), Price(9_900), Price(100)),),
)
"""What is traded unless another is given: a binary market with a tick of one cent, in hundredths of a contract, without
fees."""

Amount = str | int | Decimal
"""A price or a size as an exact decimal number, as in a configuration: `"0.40"`; sizes in contracts or coins."""

Levels = Sequence[tuple[Amount, Amount]]
"""Levels of one side of a book: (price, size) each, in any order."""

AnyOrder = OrderHandle | Order | str
"""An order: what `buy` returned, what `orders` lists, or its client order id."""

REFUSED_AS: Mapping[type, ReportKind] = {**NOT_SENT_AS, NewOrder: ReportKind.REJECTED}
"""What the venue's refusal of a request means for its order."""


class ScriptedVenue:
    """One venue account, in memory. `orders` and `fills` are what the venue has, `requests` what it received.

    A test moves the market (`quote`, `trade`, `set_status`, `settle`), fills orders (`fill`), and says what becomes of
    requests: `reject_next`, `lose_next` and `limit_next` are used up by the next request each, in the order of the
    calls; `hold` keeps requests back until `release`. `instrument` is the venue's first one unless named. While it is
    disconnected the venue answers requests and sends nothing else; `connect` brings what was missed. `terms` is what
    the venue declares that it offers; a test may change it with `offer`.

    Raises `ValueError` for an amount that is no number of the instrument's decimals, `KeyError` for what it never had.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        limits: RateLimits,
        *,
        clock: Clock,
        publish: Callable[[Event], None],
        terms: VenueTerms = UNDECLARED,
    ) -> None:
        self.name = instruments[0].venue
        self.terms = terms
        self.orders: dict[str, OrderSnapshot] = {}
        self.fills: list[Fill] = []
        self.requests: list[Approved] = []
        self._numbers = count(1)
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._limits, self._clock, self._publish = limits, clock, publish
        self._depth: dict[InstrumentId, dict[Side, dict[Price, Size]]] = {}
        self._asked: dict[str, NewOrder] = {}
        self._untriggered: dict[str, Trigger] = {}
        self._answers: deque[Callable[[Approved], RequestOutcome]] = deque()
        self._unanswered: deque[Approved] = deque()
        self._is_holding = self._is_up = self._is_mute = False

    def quote(
        self,
        *,
        bid: Amount = "",
        ask: Amount = "",
        size: Amount = 100,
        bids: Levels = (),
        asks: Levels = (),
        instrument: InstrumentId | None = None,
    ) -> None:
        """Replace the book: `bid` and `ask` with `size` each ("" = nobody), or any number of levels."""
        of = self._instrument(instrument)
        sides = {Side.BUY: bids or ([(bid, size)] if bid else []), Side.SELL: asks or ([(ask, size)] if ask else [])}
        self._depth[of.id] = {side: {of.price(at): of.size(n) for at, n in levels} for side, levels in sides.items()}
        for order in self._resting(of.id):
            self._match(order.client_order_id, is_maker=True)
        self._tell(self._book(of.id))
        if (best_bid := max(self._depth[of.id][Side.BUY], default=0)) and self._depth[of.id][Side.SELL]:
            self._release(of.id, TriggerBy.MARK, best_bid + min(self._depth[of.id][Side.SELL]))

    def offer(self, terms: VenueTerms) -> None:
        """Offer this from now on."""
        self.terms = terms
        self._tell(TermsDeclared(self.name, terms, self._clock.now_ns()))

    def trade(
        self, price: Amount, size: Amount = 1, *, aggressor: Side, instrument: InstrumentId | None = None
    ) -> None:
        """Others trade; `aggressor` is the taker's side. Resting orders with a better price fill, up to the size."""
        of, sign = self._instrument(instrument), aggressor.opposite.sign
        at, left, now_ns = of.price(price), of.size(size), self._clock.now_ns()
        self._tell(TradePrint(of.id, now_ns, now_ns, f"trade-{next(self._numbers)}", at, left, aggressor))
        for order in sorted(self._resting(of.id), key=lambda one: -one.price * sign):
            traded = min(left, order.size - order.filled)
            if order.side is aggressor.opposite and (order.price - at) * sign > 0 and traded:
                left = Size(left - traded)
                self._trade(order, traded, order.price, is_maker=True)
        self._release(of.id, TriggerBy.LAST, 2 * at)

    def fill(
        self, order: AnyOrder, *, size: Amount | None = None, price: Amount | None = None, is_maker: bool = True
    ) -> Fill:
        """Trade an order: the rest of it, at its price, unless told otherwise. One that has ended fills all the same,
        as a fill that the venue sends late; give its size. Raises `KeyError` for an order that the venue never had."""
        name = order if isinstance(order, str) else order.client_order_id
        if (known := self.orders.get(name)) is None:
            raise KeyError(f"client_order_id: {name!r} is no order that {self.name} has accepted")
        of = self._instruments[known.instrument]
        traded = known.size - known.filled if size is None else of.size(size)
        return self._trade(known, traded, known.price if price is None else of.price(price), is_maker=is_maker)

    def list_instrument(self, instrument: Instrument) -> None:
        """Offer one more instrument from now on; its venue must be this one."""
        self._instruments[instrument.id] = instrument
        self._tell(InstrumentDefined(instrument, self._clock.now_ns()))

    def set_status(self, status: InstrumentStatus, *, instrument: InstrumentId | None = None) -> None:
        """Pause, close or open an instrument. None but an active one takes new orders; CLOSED and SETTLED end them."""
        of = msgspec.structs.replace(self._instrument(instrument), status=status)
        self._instruments[of.id] = of
        self._tell(InstrumentDefined(of, self._clock.now_ns()))
        for order in self._open(of.id):
            if status in (InstrumentStatus.CLOSED, InstrumentStatus.SETTLED):
                self._end(order, status.value)

    def settle(self, value: Amount, *, instrument: InstrumentId | None = None) -> None:
        """Pay out the positions in an instrument at `value` per contract (binary: 0 to 1, YES), and end its orders."""
        of, now_ns = self._instrument(instrument), self._clock.now_ns()
        self.set_status(InstrumentStatus.SETTLED, instrument=of.id)
        self._tell(InstrumentSettled(of.id, of.price(value), now_ns, now_ns))

    def disconnect(self, reason: str = "connection lost") -> None:
        """The streams break: books become stale, and the gate refuses new orders."""
        self._tell(ConnectorStatus(self.name, False, reason, self._clock.now_ns()))
        self._is_up = False

    def connect(self) -> None:
        """The streams come up: instruments, limits and books are sent again, and orders and fills are reconciled."""
        self._is_up, now_ns = True, self._clock.now_ns()
        for of in self._instruments.values():
            self._tell(InstrumentDefined(of, now_ns))
        self._tell(LimitsDeclared(self.name, self._limits, now_ns))
        self._tell(TermsDeclared(self.name, self.terms, now_ns))
        self._tell(ConnectorStatus(self.name, True, "subscribed", now_ns))
        for quoted in self._depth:
            self._tell(self._book(quoted))

    def hold(self) -> None:
        """Keep requests on their way from now on: each takes effect, and is answered, when it is released. A fill can
        come before a cancel so."""
        self._is_holding = True

    def release(self) -> None:
        """Let what was held go on, oldest first, and hold nothing more."""
        self._is_holding = False
        while self.answer_next():
            pass

    def reject_next(self, code: str, detail: str = "") -> None:
        """The venue refuses the next request with a code of its own; an order that was to be changed stays as it is."""
        self._answers.append(lambda approved: self._refuse(approved, code, detail=detail))

    def lose_next(self, *, reached: bool = True) -> None:
        """The next request gets no answer, whether it `reached` the venue or not: its outcome stays unknown until a
        reconciliation finds out."""

        def lose(approved: Approved) -> RequestOutcome:
            self._is_mute = True
            if reached:
                self._grant(approved)
            self._is_mute = False
            return self._refuse(approved, "outcome_unknown", UNKNOWN_AS)

        self._answers.append(lose)

    def limit_next(self) -> None:
        """The venue answers the next request with 429: nothing happens, and the rate budget counts as empty."""
        self._answers.append(lambda one: self._refuse(one, "rate_limited", NOT_SENT_AS, RequestOutcome.LIMITED))

    def receive(self, approved: Approved) -> None:
        """Take a request in. Called by the harness, like the methods below."""
        self.requests.append(approved)
        self._unanswered.append(approved)
        self._report(approved.client_order_id, ReportKind.SENT)

    def drop(self, approved: Approved, reason: str) -> None:
        """A request that is not wanted any more does not leave, for this reason."""
        outcome = self._refuse(approved, "not_sent", NOT_SENT_AS, RequestOutcome.NOT_CHARGED, detail=reason)
        self._complete(approved, outcome)

    def answer_next(self) -> bool:
        """Answer the oldest request; False when there is none, or it is held."""
        if self._is_holding or not self._unanswered:
            return False
        approved = self._unanswered.popleft()
        answer = self._answers.popleft() if self._answers else self._grant
        self._complete(approved, answer(approved))
        return True

    def forget_requests(self) -> None:
        """Drop what was not answered: who asked is gone."""
        self._is_holding = False
        self._unanswered.clear()

    def reconcile(self, known: Iterable[Order]) -> None:
        """Tell what became of our open orders that no answer is outstanding for, and every fill, as look-ups do."""
        waiting = {approved.client_order_id for approved in self._unanswered}
        for order in known:
            name, found = order.client_order_id, self.orders.get(order.client_order_id)
            if name in waiting:
                continue
            if found is None:
                self._report(name, ReportKind.NEVER_ARRIVED)
                continue
            self._tell(msgspec.structs.replace(found, ts_recv=self._clock.now_ns()))
            if found.is_open and order.amend_size is not None:
                self._report(name, ReportKind.AMENDED, price=found.price, size=found.size)
        for fill in self.fills:
            self._tell(fill)

    def _grant(self, approved: Approved) -> RequestOutcome:
        """Carry a request out, as far as the venue's rules allow."""
        intent, order = approved.intent, self.orders.get(approved.client_order_id)
        if isinstance(intent, NewOrder):
            return self._accept(approved, intent)
        if isinstance(intent, CancelAll):
            for resting in self._open(intent.instrument or None):
                self._end(resting)
        elif order is None or not order.is_open:
            return self._refuse(approved, "not_found")
        elif isinstance(intent, CancelOrder):
            self._end(order)
        elif intent.size <= order.filled:
            return self._refuse(approved, "size_too_small")
        else:
            self.orders[order.client_order_id] = msgspec.structs.replace(order, price=intent.price, size=intent.size)
            self._report(order.client_order_id, ReportKind.AMENDED, price=intent.price, size=intent.size)
            self._match(order.client_order_id, is_maker=False)
        return RequestOutcome.SPENT

    def _accept(self, approved: Approved, intent: NewOrder) -> RequestOutcome:
        name = approved.client_order_id
        reached = not intent.trigger and self._reached(intent.instrument, intent.side, intent.price)
        if self._instruments[intent.instrument].status is not InstrumentStatus.ACTIVE:
            return self._refuse(approved, "instrument_not_active")
        if intent.post_only and reached:
            return self._refuse(approved, "post_only")
        self.orders[name] = OrderSnapshot(
            venue=self.name,
            venue_order_id=f"venue-{name}",
            client_order_id=name,
            instrument=intent.instrument,
            side=intent.side,
            price=intent.price,
            size=intent.size,
            filled=Size(0),
            is_open=True,
            ts_recv=self._clock.now_ns(),
        )
        self._report(name, ReportKind.ACCEPTED)
        self._asked[name] = intent
        if intent.trigger is not None:
            self._untriggered[name] = intent.trigger
        else:
            self._enter(name)
        return RequestOutcome.SPENT

    def _enter(self, name: str) -> None:
        """Put an order into the market: trade what it reaches, and end the rest of one that does not rest."""
        intent = self._asked[name]
        reached = self._reached(intent.instrument, intent.side, intent.price)
        is_whole = sum(size for _, size in reached) >= intent.size
        if is_whole or intent.time_in_force is not TimeInForce.FILL_OR_KILL:
            self._match(name, is_maker=False)
        if intent.time_in_force is not TimeInForce.GOOD_TILL_CANCELLED and self.orders[name].is_open:
            self._end(self.orders[name], intent.time_in_force.value)

    def _release(self, of: InstrumentId, by: TriggerBy, price_twice: int) -> None:
        """Put the orders into the market whose condition this price meets; given twice, as a mid is."""
        for name, trigger in list(self._untriggered.items()):
            order = self.orders[name]
            rises = (trigger.kind is TriggerKind.STOP) is (order.side is Side.BUY)
            beyond = (price_twice - 2 * trigger.price) * (1 if rises else -1)
            if order.instrument == of and trigger.by is by and beyond >= 0:
                del self._untriggered[name]
                self._enter(name)

    def _reached(self, of: InstrumentId, side: Side, price: Price) -> list[Level]:
        """The quoted depth of the other side that an order at `price` reaches, best first."""
        levels = self._depth.get(of, {}).get(side.opposite, {}).items()
        reached = [level for level in levels if level[1] and (price - level[0]) * side.sign >= 0]
        return sorted(reached, key=lambda level: level[0] * side.sign)

    def _match(self, name: str, *, is_maker: bool) -> None:
        """Trade an order with the depth that it reaches, as long as it is open: a hook may have ended it meanwhile."""
        order = self.orders[name]
        for price, size in self._reached(order.instrument, order.side, order.price):
            if (order := self.orders[name]).is_open:
                traded = min(size, order.size - order.filled, self._affordable(name, price))
                if not traded:
                    break
                self._depth[order.instrument][order.side.opposite][price] = Size(size - traded)
                self._trade(order, traded, order.price if is_maker else price, is_maker=is_maker)
                self._tell(self._book(order.instrument))
        self._end_spent(name)

    def _affordable(self, name: str, price: Price) -> int:
        """What the rest of an order's amount buys or sells at this price, in whole lots; without end of one by size."""
        order, amount = self.orders[name], self._amount(name)
        if not amount:
            return order.size
        lot = self._instruments[order.instrument].lot
        return (amount - (order.cost or 0)) // price // lot * lot

    def _amount(self, name: str) -> int:
        asked = self._asked.get(name)
        return asked.quote_amount if asked else 0

    def _end_spent(self, name: str) -> None:
        """End an order by amount whose amount is spent: the rest is worth less than a lot at its worst price."""
        order = self.orders[name]
        is_live = order.is_open and order.filled > 0
        if self._amount(name) and is_live and not self._affordable(name, order.price):
            self.orders[name] = ended = msgspec.structs.replace(order, is_open=False, ts_recv=self._clock.now_ns())
            if not self._is_mute:
                self._publish(ended)

    def _trade(self, order: OrderSnapshot, size: int, price: Price, *, is_maker: bool) -> Fill:
        now_ns, filled = self._clock.now_ns(), Size(order.filled + size)
        fill = Fill(
            venue=self.name,
            instrument=order.instrument,
            # Fills of one instant are ordered by their ids.
            fill_id=f"fill-{next(self._numbers):06}",
            venue_order_id=order.venue_order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price=price,
            size=Size(size),
            fee=fee_of(self._instruments[order.instrument], price, Size(size), is_maker=is_maker),
            is_maker=is_maker,
            ts_venue=now_ns,
            ts_recv=now_ns,
        )
        is_open = order.is_open and filled < order.size
        cost = Money((order.cost or 0) + price * size)
        self.orders[order.client_order_id] = msgspec.structs.replace(order, filled=filled, is_open=is_open, cost=cost)
        self.fills.append(fill)
        self._tell(fill)
        return fill

    def _end(self, order: OrderSnapshot, reason: str = "") -> None:
        self._untriggered.pop(order.client_order_id, None)
        self.orders[order.client_order_id] = msgspec.structs.replace(order, is_open=False, reason=reason)
        self._report(order.client_order_id, ReportKind.CANCELLED, detail=reason, filled=order.filled)

    def _refuse(
        self,
        approved: Approved,
        code: str,
        kinds: Mapping[type, ReportKind] = REFUSED_AS,
        outcome: RequestOutcome = RequestOutcome.SPENT,
        detail: str = "",
    ) -> RequestOutcome:
        names = [approved.client_order_id]
        if isinstance(approved.intent, CancelAll):
            names = [order.client_order_id for order in self._open(approved.intent.instrument or None)]
        for name in names:
            self._report(name, kinds[type(approved.intent)], code=code, detail=detail)
        return outcome

    def _report(self, name: str, kind: ReportKind, **facts: Any) -> None:
        link = self.orders[name].venue_order_id if name in self.orders else ""
        facts |= {"venue": self.name, "client_order_id": name, "venue_order_id": link}
        if name and not self._is_mute:
            self._publish(OrderReport(kind=kind, ts_recv=self._clock.now_ns(), **facts))

    def _complete(self, approved: Approved, outcome: RequestOutcome) -> None:
        strategy, kind, now_ns = approved.intent.strategy, approved.request_kind, self._clock.now_ns()
        self._publish(RequestCompleted(self.name, strategy, kind, outcome, now_ns))

    def _tell(self, event: Event) -> None:
        """Send something over the stream."""
        if self._is_up and not self._is_mute:
            self._publish(event)

    def _instrument(self, instrument: InstrumentId | None) -> Instrument:
        return self._instruments[instrument or next(iter(self._instruments))]

    def _resting(self, of: InstrumentId | None = None) -> list[OrderSnapshot]:
        return [order for order in self._open(of) if order.client_order_id not in self._untriggered]

    def _open(self, of: InstrumentId | None = None) -> list[OrderSnapshot]:
        return [order for order in self.orders.values() if order.is_open and of in (None, order.instrument)]

    def _book(self, of: InstrumentId) -> BookSnapshot:
        now_ns, depth = self._clock.now_ns(), self._depth[of]
        return BookSnapshot(of, now_ns, now_ns, tuple(depth[Side.BUY].items()), tuple(depth[Side.SELL].items()))


def fee_of(instrument: Instrument, price: Price, size: Size, *, is_maker: bool) -> Money:
    """The fee by the instrument's schedule, rounded up to the smallest unit of its money. *Assumption*: venues round in
    their own ways (Kalshi to cents per order)."""
    rate = Fraction(instrument.fees.maker_rate if is_maker else instrument.fees.taker_rate)
    if instrument.fees.model is FeeModel.QUADRATIC:
        rate *= Fraction(instrument.unit - price, instrument.unit)
    return Money(ceil(rate * price * size))
