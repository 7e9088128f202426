"""Booking the fills that the venue does not list: when it can be known that they are there, and once (I4).

Where no fills are listed (BY_ORDER), each statement of an order is followed by the fill that it shows. Where those of
resting orders are left out (TAKER_ONLY), what an order states is booked once the list had the time to show it; then a
gap between the venue's position and ours, with what orders state, that has lasted longer than reads lag is given to the
orders that can have made it. What none can have made is a liquidation or a trade by hand: it is booked for the account
alone, with an alarm, and the instrument may only reduce. All of it comes right by itself if a guess was wrong: a wrong
one leaves a gap.

A venue that states no amounts does not say how much of a cancelled order has traded. Its end is held back until a
position that was read later than the lag agrees with ours, so that its exposure stays reserved until then. What the
position does later is none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from framework.domain.account_events import (
    Fill,
    FillSource,
    FillVoided,
    OrderReport,
    OrderSnapshot,
    PositionReport,
    ReportKind,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.market_events import TradePrint
from framework.domain.orders import Order, Side
from framework.domain.terms import FillListing
from framework.reconciliation.inferred_fills import (
    ENDED_NS_MAX,
    explain,
    in_place_of_inferred,
    owed_fill,
    owed_net,
    stated_fill,
    unowned_fill,
)
from framework.reconciliation.order_terms import AsOf
from framework.reconciliation.ports import ReconcileDependencies

PARTIAL_NS = 2_000_000_000
"""So much longer than the read lag an open order that is partially filled waits for the position to say how much."""


class Seen(NamedTuple):
    """The gap in one comparison: the venue's size less ours, signed and scaled; when, monotonic and wall."""

    at_ns: int
    wall_ns: int
    gap: int


class PositionGaps:
    """The gaps of one venue account over the last `kept_ns` nanoseconds, by instrument."""

    def __init__(self, kept_ns: int) -> None:
        self._kept_ns = kept_ns
        self._seen: dict[InstrumentId, list[Seen]] = {}

    def __bool__(self) -> bool:
        return bool(self._seen)

    def note(self, instrument: InstrumentId, gap: int, *, at_ns: int, wall_ns: int) -> None:
        """Keep what a comparison found. Without a gap all earlier ones are forgotten: they were delays."""
        if not gap:
            self._seen.pop(instrument, None)
            return
        seen = self._seen.setdefault(instrument, [])
        seen.append(Seen(at_ns, wall_ns, gap))
        while len(seen) > 1 and seen[1].at_ns <= at_ns - self._kept_ns:
            del seen[0]

    def explain(self, instrument: InstrumentId, size: int) -> None:
        """A part of the gap, of this signed size, is booked now: it was in the earlier ones, too."""
        seen = [one._replace(gap=one.gap - size) for one in self._seen.pop(instrument, [])]
        if seen and seen[-1].gap:
            self._seen[instrument] = seen

    def of(self, instrument: InstrumentId) -> int:
        """The newest gap, 0 where there is none."""
        seen = self._seen.get(instrument)
        return seen[-1].gap if seen else 0

    def lasting(self, instrument: InstrumentId, before_ns: int) -> tuple[int, int]:
        """The part of the gap that has been there ever since the last comparison up to the monotonic time `before_ns`,
        signed, and the wall time of that comparison; (0, 0) when there was none or the sign has changed."""
        seen = self._seen.get(instrument, [])
        first = max((number for number, one in enumerate(seen) if one.at_ns <= before_ns), default=None)
        if first is None:
            return 0, 0
        gaps = [one.gap for one in seen[first:]]
        if min(gaps) <= 0 <= max(gaps):
            return 0, 0
        return min(gaps, key=abs), seen[first].wall_ns

    def count(self, instrument: InstrumentId, before_ns: int) -> int:
        """How many of the kept comparisons up to the monotonic time `before_ns` had a gap."""
        return sum(one.at_ns <= before_ns for one in self._seen.get(instrument, []))


class HiddenFills:
    """What is known of one venue account's hidden fills. It publishes by itself; where every fill is listed it hands on
    what it gets."""

    def __init__(self, dependencies: ReconcileDependencies) -> None:
        self._dependencies = dependencies
        # Longer than a gap must last: comparisons may be as far apart as that, and two of them must have asked.
        self._gaps = PositionGaps(2 * dependencies.drift_ms_max * 1_000_000)
        self._owed: dict[str, tuple[int, int]] = {}
        self._ends: dict[str, tuple[OrderSnapshot, int]] = {}
        self._ended_ns: dict[str, int] = {}
        """Since when, in wall nanoseconds, an order is known not to trade, or when it last had a fill taken back."""
        self._agreed_ns: dict[InstrumentId, int] = {}
        """Until when, in wall nanoseconds, positions have agreed."""
        self._printed: dict[str, int] = {}
        """How much was traded in public at the limit of an order since it was made, scaled."""

    @property
    def is_waiting(self) -> bool:
        """Whether the next comparison is awaited: fills may be hidden now."""
        return bool(self._gaps or self._owed or self._ends)

    @property
    def _listing(self) -> FillListing:
        return self._dependencies.terms().fills

    @property
    def ended(self) -> Collection[str]:
        """The client order ids of the orders of which the venue has stated that they have ended, and of which no
        position says yet how much they have traded."""
        return self._ends.keys()

    def ending(self, listed: Collection[str]) -> list[Order]:
        """The orders that are to be cancelled and not among the `listed` ids of the venue: what shows that one has
        ended is worth a question before its absence proves anything, since its position is awaited from then on."""
        if self._listing is not FillListing.TAKER_ONLY:
            return []
        return [
            one
            for one in self._dependencies.accounts.orders.open(venue=self._dependencies.venue)
            if one.cancel_wanted
            and one.status.is_at_venue
            and one.venue_order_id not in listed
            and one.client_order_id not in self._ends
        ]

    def on_trade(self, trade: TradePrint) -> None:
        """Take in a public trade: one at the limit of an order of ours may be its own."""
        if self._listing is not FillListing.TAKER_ONLY:
            return
        orders = self._dependencies.accounts.orders
        for order in orders.open(venue=self._dependencies.venue, instrument=trade.instrument):
            if order.price == trade.price:
                self._printed[order.client_order_id] = self._printed.get(order.client_order_id, 0) + trade.size

    def take_in(self, snapshot: OrderSnapshot) -> None:
        """Publish an order as the venue states it, and the fill that this shows; an end of which it is not known how
        much was filled is held back."""
        if self._listing is FillListing.TAKER_ONLY and self._hold(snapshot):
            return
        self._dependencies.publish(snapshot)
        if self._listing is FillListing.BY_ORDER:
            self._book(stated_fill(self._dependencies.accounts, snapshot))

    def list_fill(self, fill: Fill) -> None:
        """Publish a fill as listed, in the place of inferred ones that stood for it."""
        for event in in_place_of_inferred(self._dependencies.accounts, fill):
            self._dependencies.publish(event)

    def settle_missing(self, order: Order) -> bool:
        """Book what the venue has stated of an order and does not show; False where it must be listed."""
        if self._listing is FillListing.LISTED:
            return False
        dependencies = self._dependencies
        self._book(owed_fill(dependencies.accounts, order, now_ns=dependencies.clock.now_ns()))
        return True

    def compare(self, reports: Sequence[PositionReport] | None, unread: Collection[InstrumentId], asked: AsOf) -> None:
        """Book what the venue's positions show, that were asked for after its orders and its fills. `asked` is when the
        pass began; the positions in `unread` are not known, with None none is."""
        if self._listing is not FillListing.TAKER_ONLY:
            return
        self._book_owed(asked)
        if reports is not None:
            self._explain_gaps(reports, unread, asked)
        self._release_ends(asked)
        known = self._dependencies.accounts.orders.get
        self._printed = {name: size for name, size in self._printed.items() if known(name) is not None}

    def _explain_gaps(self, reports: Sequence[PositionReport], unread: Collection[InstrumentId], asked: AsOf) -> None:
        dependencies = self._dependencies
        accounts, clock = dependencies.accounts, dependencies.clock
        sizes = {report.instrument: report.size for report in reports}
        owed = owed_net(accounts, dependencies.venue)
        for instrument in list(accounts.instruments.values()):
            is_here = instrument.venue == dependencies.venue and instrument.id not in accounts.settlements
            if is_here and instrument.id not in unread:
                own = accounts.positions.account(instrument.id).size + owed[instrument.id]
                gap = sizes.get(instrument.id, 0) - own
                self._gaps.note(instrument.id, gap, at_ns=clock.monotonic_ns(), wall_ns=clock.now_ns())
                if gap:
                    self._explain(instrument, asked)
                if not self._gaps.of(instrument.id):
                    self._agreed_ns[instrument.id] = asked.now_ns - asked.lag_ns

    def _hold(self, snapshot: OrderSnapshot) -> bool:
        orders = self._dependencies.accounts.orders
        order = orders.get(snapshot.client_order_id) or orders.by_venue_id(snapshot.venue, snapshot.venue_order_id)
        is_vague = not snapshot.is_open and snapshot.filled < snapshot.size
        if order is None or not is_vague or not order.status.may_trade:
            return False
        if order.client_order_id not in self._ends:
            self._ends[order.client_order_id] = snapshot, self._dependencies.clock.monotonic_ns()
            self._note_end(order)
            self._dependencies.publish(_ending(order, snapshot))
        return True

    def _note_end(self, order: Order) -> None:
        """Remember since when an order is known not to trade, as long as it could explain anything."""
        now_ns = self._dependencies.clock.now_ns()
        for name in [name for name, at_ns in self._ended_ns.items() if now_ns - at_ns > 2 * ENDED_NS_MAX]:
            del self._ended_ns[name]
        self._ended_ns[order.client_order_id] = now_ns

    def _is_settled(self, order: Order) -> bool:
        """Whether the positions have agreed since everything that the order had traded must be in them."""
        ended_ns = self._ended_ns.get(order.client_order_id, order.updated_ns)
        return ended_ns <= self._agreed_ns.get(order.instrument, 0)

    def _release_ends(self, asked: AsOf) -> None:
        for name, (snapshot, since_ns) in list(self._ends.items()):
            order = self._dependencies.accounts.orders.get(name)
            age_ns = asked.monotonic_ns - since_ns
            is_known = age_ns > asked.lag_ns and not self._gaps.of(snapshot.instrument)
            if order is None or not order.status.may_trade:
                del self._ends[name]
            elif is_known or age_ns > self._dependencies.drift_ms_max * 1_000_000:
                del self._ends[name]
                self._dependencies.publish(snapshot)

    def _book_owed(self, asked: AsOf) -> None:
        """Book what orders state and the list had the time to show. Of a resting order that is the least; how much it
        is shows the position, so it has some time more."""
        accounts, now_ns = self._dependencies.accounts, self._dependencies.clock.monotonic_ns()
        awaiting = [one for one in accounts.orders.awaiting_fills() if one.venue == self._dependencies.venue]
        before, self._owed = self._owed, {}
        for order in awaiting:
            name, stated = order.client_order_id, accounts.orders.evidence(order).stated
            _, since_ns = self._owed[name] = before[name] if before.get(name, (0, 0))[0] == stated else (stated, now_ns)
            wait_ns = asked.lag_ns * 2 + PARTIAL_NS if order.status.may_trade else asked.lag_ns
            if asked.monotonic_ns - since_ns > wait_ns:
                del self._owed[name]
                self._book(owed_fill(accounts, order, now_ns=self._dependencies.clock.now_ns()))

    def _explain(self, instrument: Instrument, asked: AsOf) -> None:
        """Book what explains a gap."""
        past_lag_ns = asked.monotonic_ns - asked.lag_ns
        gap, since_ns = self._gaps.lasting(instrument.id, past_lag_ns)
        if gap:
            self._give(instrument, gap, since_ns, self._is_settled)
        gap, since_ns = self._gaps.lasting(instrument.id, past_lag_ns)
        if by_mistake := self._by_mistake(instrument.id, gap):
            self._give(instrument, by_mistake, since_ns, lambda _order: False)
        # Passes may take long: orders must have been asked for it since, by two that are past their lag.
        if self._gaps.count(instrument.id, past_lag_ns - asked.lag_ns) <= 1:
            return
        before_ns = asked.monotonic_ns - self._dependencies.drift_ms_max * 1_000_000
        rest, since_ns = self._gaps.lasting(instrument.id, before_ns)
        if rest:
            now_ns = self._dependencies.clock.now_ns()
            self._book(unowned_fill(self._dependencies.accounts, instrument, rest, since_ns=since_ns, now_ns=now_ns))
            self._gaps.explain(instrument.id, rest)
            self._reduce(instrument, rest)

    def _by_mistake(self, instrument: InstrumentId, gap: int) -> int:
        """How much of a gap, signed, may be of before the positions agreed last, by two mistakes: orders that have
        ended are not settled for that. What came to light since of the other side, of orders that were there then, may
        have hidden as much of this one; and what was given to an order of this side that was there may be another's."""
        if not gap:
            return 0
        accounts, agreed_ns = self._dependencies.accounts, self._agreed_ns.get(instrument, 0)
        side, found = Side.BUY if gap > 0 else Side.SELL, 0
        for booked in accounts.fills.standing(instrument):
            fill, order = booked.fill, accounts.orders.get(booked.client_order_id)
            if order is None or order.created_ns > agreed_ns:
                continue
            if fill.side is not side:
                found += fill.size if fill.ts_recv > agreed_ns else 0
            elif fill.source is FillSource.INFERRED_POSITION and not self._is_settled(order):
                found += fill.size
        return side.sign * min(abs(gap), found)

    def _give(self, instrument: Instrument, gap: int, since_ns: int, is_settled: Callable[[Order], bool]) -> None:
        """Give a gap to the orders that can have made it, as far as there are any."""
        dependencies = self._dependencies
        found = explain(
            dependencies.accounts,
            instrument,
            gap,
            since_ns=since_ns,
            now_ns=dependencies.clock.now_ns(),
            ending=self._ends.keys(),
            is_settled=is_settled,
            printed=self._printed,
        )
        for event in found.events:
            dependencies.publish(event)
            if isinstance(event, FillVoided) and (taken := dependencies.accounts.fills.get(event.venue, event.fill_id)):
                # What took the place of this may be listed late: it is not settled before the positions agree again.
                self._ended_ns[taken.client_order_id] = dependencies.clock.now_ns()
        if found.rivals:
            dependencies.on_alarm(_rivals_text(instrument, gap, found.rivals))
        self._gaps.explain(instrument.id, gap - found.rest)

    def _reduce(self, instrument: Instrument, size: int) -> None:
        """Let the instrument only reduce until an operator has looked at it; a stricter state stays."""
        if self._dependencies.accounts.trading.is_limited(instrument.id):
            return
        moved = instrument.size_text(size)  # type: ignore[arg-type]  # signed, like a position
        self._dependencies.publish(
            TradingStateChanged(
                scope=Scope.INSTRUMENT,
                target=instrument.id,
                state=TradingState.REDUCING,
                reason=f"reconcile: the venue's position moved by {moved}, and no order of ours explains it: a "
                "liquidation, or a trade by hand; it is booked for the account alone",
                ts_recv=self._dependencies.clock.now_ns(),
                by="reconciliation",
            )
        )

    def _book(self, fill: Fill | None) -> None:
        if fill is not None:
            self._dependencies.publish(fill)


def _ending(order: Order, snapshot: OrderSnapshot) -> OrderReport:
    """What is known for certain of an order whose end is held back: its id, and that it does not rest any more."""
    return OrderReport(
        venue=order.venue,
        client_order_id=order.client_order_id,
        kind=ReportKind.CANCEL_PENDING,
        ts_recv=snapshot.ts_recv,
        ts_venue=snapshot.ts_venue,
        venue_order_id=snapshot.venue_order_id,
        code="amount_unknown",
        detail="it has ended; how much of it traded is not stated, and the position will show it",
    )


def _rivals_text(instrument: Instrument, gap: int, rivals: Sequence[str]) -> str:
    moved = instrument.size_text(gap)  # type: ignore[arg-type]  # signed, like a position
    return (
        f"{instrument.id}: the venue's position shows {moved} that no list shows, and orders of {' and '.join(rivals)} "
        "could have traded it: it is booked to the best price first"
    )
