"""A daemon's memory, a venue and an observer, with a network between them that loses, repeats and reorders.

One tenth of what the venue tells is dropped, one fifth is told twice, and everything is up to twenty steps late. What
our own side records of its requests is neither lost nor repeated. After each step the memory must be what the observer
knows; once everything dropped has been told by a reconciliation, also what is true at the venue.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import msgspec

from framework.domain.account_events import OrderAdopted, OrderReport, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order, OrderStatus, Side, TimeInForce
from framework.reconciliation.order_inquiry import unanswered_at_restart
from framework.state.accounts import AccountRecord, Accounts
from tests.proofs.event_order.checks import Divergence, check_market, check_order, check_step, check_whole, is_report
from tests.proofs.event_order.network import WINDOW, Leg, Network
from tests.proofs.event_order.observer import Observer
from tests.proofs.event_order.rare import Sight, see, see_restart
from tests.proofs.event_order.venue import Venue
from tests.proofs.event_order.words import MARKETS, VENUE, Ask, End, Request, Telling, Trade, VenueOrder, approved_of

LOST_ON_THE_WAY, ANSWER_STEPS_MAX = 0.08, 12
REFUSALS = (ReportKind.CANCEL_REFUSED, ReportKind.AMEND_REFUSED)
STRATEGIES = ("maker", "taker")
START_NS = 1_000_000_000


class World:
    """Everything. `advance` after each act lets a step of time pass."""

    def __init__(self, rng: random.Random, reached: Counter[str] | None = None) -> None:
        self.rng = rng
        self.venue = Venue(rng)
        self.observer = Observer()
        self.accounts = Accounts()
        self.journal: list[tuple[AccountRecord, int]] = []
        self.reached: Counter[str] = Counter() if reached is None else reached
        self.network = Network(rng)
        self._entered = 0
        self._requests = 0
        self._first_request = 0

    # What our own side does.

    def submit(self) -> None:
        """A new order: recorded now, sent now or a little later."""
        name = f"c{self._requests + 1}"
        market = self.rng.choice([market for market in MARKETS if market not in self.venue.settled])
        request = self._request(Ask.NEW, name, market=market, side=self.rng.choice(list(Side)))
        self.approve(request, now_ns=self._now_ns())
        if self.rng.random() < 0.35:
            request.is_lost = True
            self.network.later(self.rng.randrange(1, 6), Leg.OWN, lambda: self._send(request))
        else:
            self._send(request)

    def cancel(self, order: Order) -> None:
        """Ask for an order's end."""
        request = self._request(Ask.CANCEL, order.client_order_id, market=order.instrument, side=order.side)
        self.approve(request, now_ns=self._now_ns())
        self._send(request)

    def amend(self, order: Order) -> None:
        """Ask for other terms, now and then for those that the order had before."""
        request = self._request(Ask.AMEND, order.client_order_id, market=order.instrument, side=order.side)
        former = [one for one in self.observer.orders[request.name].requests if one.ask is not Ask.CANCEL]
        if former and self.rng.random() < 0.4:
            terms = self.rng.choice(former)
            request.price, request.size = terms.price, terms.size
        if request.size <= order.filled or (request.price, request.size) == (order.price, order.size):
            request.price, request.size = order.price + 1, order.filled + self.rng.randrange(1, 8)
        self.approve(request, now_ns=self._now_ns())
        self._send(request)

    def adopt(self, order: VenueOrder) -> None:
        """Give an order that somebody placed by hand to a strategy, as it was last listed."""
        listed = next(one for one in self.accounts.external_orders(VENUE) if one.venue_order_id == order.venue_order_id)
        event = OrderAdopted(
            venue=VENUE,
            venue_order_id=listed.venue_order_id,
            client_order_id=listed.client_order_id,
            strategy=self.rng.choice(STRATEGIES),
            instrument=listed.instrument,
            side=listed.side,
            price=listed.price,
            size=listed.size,
            filled=listed.filled,
            time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
            ts_recv=self._now_ns(),
        )
        sight = Sight(self.accounts, self.observer, event, order.name)
        self.observer.adopt(event, order.name)
        self._apply(event, order.name, sight, now_ns=event.ts_recv)

    def look_up(self, order: Order) -> None:
        """Ask the venue for one order, and conclude as a reconciliation does from what it lists."""
        name = order.client_order_id
        at_venue = self.venue.find(name)
        if order.status is OrderStatus.ENDING and self.rng.random() < 0.4:
            # Its fills were asked for often enough.
            self._conclude(order, ReportKind.FILLS_MISSING, None)
            return
        if at_venue is None:
            if not order.venue_order_id:
                self._conclude(order, ReportKind.NEVER_ARRIVED, None)
            return
        if not at_venue.is_open and order.is_open and order.venue_order_id and self.rng.random() < 0.4:
            # It ended long ago and the venue lists it no more; an expired one is listed for longer.
            if at_venue.end is not End.EXPIRED:
                self.tell(self.venue.not_listed(at_venue))
                return
        self.tell(self.venue.listing(at_venue))
        if at_venue.is_open:
            self._refuse_unheard(order, at_venue)

    def infer(self, order: VenueOrder, trade: Trade) -> None:
        """Book a hidden trade from what the venue states of its order, as is done where fills are not listed."""
        trade.is_inferred = True
        self.tell(self.venue.listing(order))
        self.tell(self.venue.inferred(order, trade))

    def list_hidden(self, order: VenueOrder, trade: Trade) -> None:
        """The venue lists a hidden trade after all: it takes the place of what was inferred."""
        trade.is_hidden = False
        if trade.is_inferred:
            self.tell(self.venue.void(order, trade, is_of_inferred=True))
        self.tell(self.venue.fill(order, trade))

    def restart(self) -> None:
        """Stop at once and start again: answers under way are never heard, nothing unsent is sent."""
        see_restart(self.reached, self.accounts)
        accounts = Accounts()
        for record, now_ns in self.journal:
            accounts.apply(record, now_ns)
        restored = Accounts.from_snapshot(self.accounts.to_snapshot())
        if not accounts.digest() == restored.digest() == self.accounts.digest():
            raise Divergence("a restart folds to another state")
        is_stream_lost = self.rng.random() < 0.5
        lost = {Leg.OWN, Leg.ANSWER, Leg.STREAM} if is_stream_lost else {Leg.OWN, Leg.ANSWER}
        self.network.cut(lost)
        self._first_request = self._requests + 1
        self.accounts = restored
        for report in unanswered_at_restart(restored, self._now_ns()):
            order = self.observer.orders[report.client_order_id]
            request = next(iter(order.pending(Ask.CANCEL)), None) if report.kind is ReportKind.CANCEL_REFUSED else None
            self.tell(Telling(record=report, name=report.client_order_id, request=request))

    # What the venue does.

    def say(self, tellings: list[Telling]) -> None:
        """Send what the venue tells over the network."""
        for telling in tellings:
            request = telling.request
            is_unheard = request is not None and request.number < self._first_request
            leg = Leg.STREAM if request is None else Leg.ANSWER
            if not is_unheard:
                self.network.carry(leg, partial(self._arrive, telling))

    def say_old(self, order: VenueOrder) -> None:
        """List an order as it stood some time ago, as reads that lag behind do."""
        version = self.rng.randrange(len(order.versions))
        self.tell(self.venue.listing(order, version=version, has_client_id=self.rng.random() < 0.7))

    def tell(self, telling: Telling) -> None:
        """Let the daemon, and the observer, hear something now."""
        now_ns = self._now_ns()
        record = msgspec.structs.replace(telling.record, ts_recv=now_ns)
        self.hear(Telling(record=record, name=telling.name, request=telling.request), now_ns=now_ns)

    def hear(self, telling: Telling, *, now_ns: int) -> None:
        """Take in something that is told, with its receipt time as it is."""
        sight = Sight(self.accounts, self.observer, telling.record, telling.name)
        self.observer.hear(telling)
        self._apply(telling.record, telling.name, sight, now_ns=now_ns)

    def approve(self, request: Request, *, now_ns: int) -> None:
        """Record the gate's yes to a request."""
        approved = approved_of(request, now_ns=now_ns)
        sight = Sight(self.accounts, self.observer, approved, request.name)
        self.observer.ask(approved, request)
        self._apply(approved, request.name, sight, now_ns=now_ns)

    # Time.

    def advance(self) -> None:
        """Let everything happen that is due now."""
        self.network.advance()
        for market in MARKETS:
            check_market(self.accounts, self.observer, market)

    def heal(self) -> None:
        """The network is well: what is under way arrives, the rest is told by reconciliation. Check everything."""
        self.network.settle()
        self.reconcile()
        check_whole(self.accounts, self.observer, self.venue)
        restored = Accounts.from_snapshot(self.accounts.to_snapshot())
        folded = Accounts()
        for record, now_ns in self.journal:
            folded.apply(record, now_ns)
        if not restored.digest() == folded.digest() == self.accounts.digest():
            raise Divergence("the journal folds to another state")

    def reconcile(self) -> None:
        """Tell everything that can be asked for: open orders, every fill, what was settled, and each doubt's end."""
        for order in list(self.venue.orders.values()):
            if order.is_open:
                self.tell(self.venue.listing(order))
            for trade in order.trades:
                if trade.is_hidden:
                    self.list_hidden(order, trade)
                self.tell(self.venue.fill(order, trade))
                if trade.is_voided:
                    self.tell(self.venue.void(order, trade))
        for market in self.venue.settled:
            self.tell(self.venue.settlement(market))
        for own in self.accounts.orders.open():
            self.look_up(own)
        for order in list(self.venue.orders.values()):
            # Fills that no order claims: their order is looked up by the venue's id.
            if order.strategy and order.trades and not self.observer.orders[order.name].is_linked:
                self.tell(self.venue.listing(order))

    def _send(self, request: Request) -> None:
        if request.ask is Ask.NEW and self.rng.random() < 0.05:
            self._conclude_of(request, ReportKind.NOT_SENT, "not_sent")
            return
        request.is_lost = False
        self._conclude_of(request, ReportKind.SENT, "")
        if self.rng.random() < LOST_ON_THE_WAY:
            request.is_lost = True
        elif self.rng.random() < 0.5:
            self._take_up(request)
        else:
            steps = self.rng.randrange(1, 6 if self.rng.random() < 0.6 else WINDOW)
            self.network.later(steps, Leg.REQUEST, lambda: self._take_up(request))
        self.network.later(self.rng.randrange(1, ANSWER_STEPS_MAX), Leg.OWN, lambda: self._give_up(request))

    def _take_up(self, request: Request) -> None:
        self.say(self.venue.take(request))

    def _arrive(self, telling: Telling) -> None:
        request = telling.request
        if request is not None and is_report(telling.record, *REFUSALS) and self._is_outdated(request):
            return
        if request is not None and is_report(telling.record, ReportKind.AMENDED) and self._is_outdated(request):
            # The sender knows which of its requests was answered, and that a later one has taken over.
            request.is_answered = True
            return
        self.tell(telling)

    def _is_outdated(self, request: Request) -> bool:
        """A refusal comes before the next request of its kind: none is made while one is unanswered."""
        requests = self.observer.orders[request.name].requests
        return any(one.ask is request.ask and one.number > request.number for one in requests)

    def _give_up(self, request: Request) -> None:
        """No answer came in time: nothing is known of the request's fate."""
        if request.is_answered:
            return
        if request.ask is Ask.CANCEL:
            self._conclude_of(request, ReportKind.CANCEL_REFUSED, "outcome_unknown")
            return
        self._conclude_of(request, ReportKind.UNKNOWN, "outcome_unknown")

    def _refuse_unheard(self, order: Order, at_venue: VenueOrder) -> None:
        """What a fresh listing shows not to have happened, of requests that are not under way any more."""
        for request in self.observer.orders[order.client_order_id].requests:
            if request.is_answered or not (request.decided_at or request.is_lost):
                continue
            has_old_terms = (at_venue.price, at_venue.size) != (request.price, request.size)
            if request.ask is Ask.CANCEL and order.cancel_wanted and not at_venue.is_cancelling:
                self._conclude(order, ReportKind.CANCEL_REFUSED, request)
            elif request.ask is Ask.AMEND and order.amend_size is not None and has_old_terms:
                self._conclude(order, ReportKind.AMEND_REFUSED, request)

    def _request(self, ask: Ask, name: str, *, market: InstrumentId, side: Side) -> Request:
        self._requests += 1
        price, size = self.rng.randrange(20, 80), self.rng.randrange(2, 12)
        strategy = self.rng.choice(STRATEGIES)
        return Request(
            number=self._requests,
            ask=ask,
            name=name,
            strategy=strategy,
            market=market,
            side=side,
            price=price,
            size=size,
        )

    def _conclude(self, order: Order, kind: ReportKind, request: Request | None) -> None:
        report = OrderReport(venue=VENUE, client_order_id=order.client_order_id, kind=kind, ts_recv=0, code="concluded")
        self.tell(Telling(record=report, name=order.client_order_id, request=request))

    def _conclude_of(self, request: Request, kind: ReportKind, code: str) -> None:
        """What our own side reports of a request; only a refusal settles an amend or a cancel."""
        answered = request if kind in (ReportKind.CANCEL_REFUSED, ReportKind.NOT_SENT) else None
        report = OrderReport(venue=VENUE, client_order_id=request.name, kind=kind, ts_recv=0, code=code)
        self.tell(Telling(record=report, name=request.name, request=answered))

    def _apply(self, record: AccountRecord, name: str, sight: Sight, *, now_ns: int) -> None:
        change = self.accounts.apply(record, now_ns)
        self.journal.append((record, now_ns))
        check_step(self.observer, sight, change, self.accounts.orders.get(name))
        check_order(self.accounts, self.observer, self.venue, name)
        see(self.reached, sight, self.accounts.orders.get(name))

    def _now_ns(self) -> int:
        self._entered += 1
        return START_NS + self._entered
