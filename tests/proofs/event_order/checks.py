"""What must hold: after every record, after every step, and at rest. Each finding is a `Divergence`."""

from __future__ import annotations

from framework.domain.account_events import FillVoided, OrderReport, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order, OrderStatus, Side
from framework.state.accounts import Accounts
from framework.state.change import Change
from framework.state.positions import Position
from tests.proofs.event_order.observer import Money, Observer, Watched
from tests.proofs.event_order.rare import Sight
from tests.proofs.event_order.venue import Venue
from tests.proofs.event_order.words import MARKETS, VENUE, Ask, End, VenueOrder

S = OrderStatus
STATUS_OF_END = {End.FILLED: S.FILLED, End.CANCELLED: S.CANCELLED, End.EXPIRED: S.EXPIRED}


class Divergence(AssertionError):
    """The memory is not what it must be."""


def expect(what: str, is_: object, wanted: object) -> None:
    """Raise `Divergence` unless the two are equal."""
    if is_ != wanted:
        raise Divergence(f"{what} is {is_}, and must be {wanted}")


def check_step(observer: Observer, sight: Sight, change: Change, order: Order | None) -> None:
    """One record: finals stay final (I7), no over-fill goes unnoticed (I6), fills are published once (I4), and before
    an order is shown as ended."""
    for fill in change.fills:
        if fill.fill_id in observer.published:
            raise Divergence(f"fill {fill.fill_id} is published twice (I4)")
        observer.published.add(fill.fill_id)
    _check_shown_ends(observer, sight, change)
    if order is None:
        return
    name = order.client_order_id
    watched = observer.orders.get(name)
    if watched is not None and watched.traded > watched.size_worst and not watched.is_alarmed:
        watched.is_alarmed = True
        if order.instrument not in change.halts:
            raise Divergence(f"{name}: {watched.traded} of {watched.size_worst} traded without an alarm (I6)")
    if sight.status is None:
        return
    if sight.status.is_final and not order.status.is_final and not (sight.is_inferred and change.halts):
        raise Divergence(f"{name} was {sight.status.value} and is {order.status.value} (I7)")
    if order.filled < sight.filled and not isinstance(sight.record, FillVoided):
        raise Divergence(f"{name}: filled went from {sight.filled} to {order.filled} (I6)")


def _check_shown_ends(observer: Observer, sight: Sight, change: Change) -> None:
    """What a strategy's hook gets: no order that has just ended with less filled than the venue has told by then."""
    for order in change.orders:
        watched = observer.orders.get(order.client_order_id)
        was_shown = sight.status is not None and sight.status.is_final
        if watched is None or watched.is_given_up or was_shown or not order.status.is_final:
            continue
        taken_back = watched.traded - observer.filled(watched)
        if order.filled + taken_back < watched.told_filled:
            raise Divergence(
                f"{order.client_order_id} is shown as {order.status.value} with {order.filled} filled; "
                f"the venue has told of {watched.told_filled}"
            )


def check_order(accounts: Accounts, observer: Observer, venue: Venue, name: str) -> None:
    """One order is what the observer knows of it, and reserves what it may still do (I3)."""
    watched, order = observer.orders.get(name), accounts.orders.get(name)
    if watched is None:
        return
    if order is None:
        raise Divergence(f"{name} is not known")
    expect(f"{name}: status", order.status, observer.status(watched))
    expect(f"{name}: filled (I4)", order.filled, observer.filled(watched))
    expect(f"{name}: fees", order.fees, observer.fees(watched))
    expect(f"{name}: strategy", order.strategy, watched.strategy)
    if not order.status.is_final:
        expect(f"{name}: terms", (order.price, order.size), (watched.price, watched.size))
    at_venue = venue.find(name)
    if at_venue is not None and at_venue.is_open:
        _check_reserve(order, observer.exposed(watched), watched, at_venue)


def check_market(accounts: Accounts, observer: Observer, market: InstrumentId) -> None:
    """Positions, money and exposure in a market are what the observer adds up."""
    expect(f"{market}: money", _money(accounts.positions.account(market)), observer.money(market))
    open_sizes = {Side.BUY: 0, Side.SELL: 0}
    open_orders = 0
    strategies = set()
    for order in observer.orders.values():
        if order.market == market:
            strategies.add(order.strategy)
            open_sizes[order.side] += observer.exposed(order)
            open_orders += not observer.status(order).is_final
    for side, size in observer.external_exposures(market):
        open_sizes[side] += size
        open_orders += 1
    exposure = accounts.exposure(market)
    found = (exposure.position, exposure.open_buy, exposure.open_sell, exposure.open_orders)
    wanted = (observer.money(market).size, open_sizes[Side.BUY], open_sizes[Side.SELL], open_orders)
    expect(f"{market}: exposure (I3)", found, wanted)
    for strategy in strategies:
        found_money = _money(accounts.positions.of_strategy(strategy, market))
        expect(f"{market}: money of {strategy}", found_money, observer.money(market, strategy))


def check_whole(accounts: Accounts, observer: Observer, venue: Venue) -> None:
    """At rest: memory, observer and venue agree in everything (I5, I10)."""
    for name in observer.orders:
        check_order(accounts, observer, venue, name)
        _check_truth(accounts, venue, name, observer.orders[name])
    for market in MARKETS:
        check_market(accounts, observer, market)
        expect(f"{market}: money at rest (I5)", _money(accounts.positions.account(market)), _true_money(venue, market))
    open_here = {order.venue_order_id for order in accounts.orders.open()}
    external_orders = {one.venue_order_id for one in accounts.external_orders(VENUE)}
    expect("strangers", external_orders, observer.external_orders())
    open_there = {order.venue_order_id for order in venue.orders.values() if order.is_open}
    expect("open orders at rest (I10)", open_here | (external_orders & open_there), open_there)
    expect("orders awaiting fills", accounts.orders.awaiting_fills(), ())


def _check_reserve(order: Order, exposed: int, watched: Watched, at_venue: VenueOrder) -> None:
    """While it may trade at the venue, position and exposure together cover all that it may come to, unless
    somebody concluded, from silence, that it is over."""
    is_told_over = bool(watched.ends) or (watched.is_denied and not watched.is_shown)
    is_refused_late = any(
        one.ask is Ask.AMEND and one.is_answered and one.is_granted and (one.price, one.size) != (0, 0)
        for one in watched.requests
    )
    if not is_told_over and not is_refused_late and order.filled + exposed < at_venue.size:
        raise Divergence(
            f"{order.client_order_id}: {exposed} reserved on top of {order.filled}; {at_venue.size} may trade (I3)"
        )


def _check_truth(accounts: Accounts, venue: Venue, name: str, watched: Watched) -> None:
    order, at_venue = accounts.orders.get(name), venue.find(name)
    if order is None:
        raise Divergence(f"{name} is not known")
    if at_venue is None:
        expect(f"{name}: status at rest", order.status, S.REJECTED)
        expect(f"{name}: filled at rest", order.filled, 0)
        return
    expect(f"{name}: filled at rest (I5)", order.filled, at_venue.filled)
    if at_venue.is_open:
        expect(f"{name}: open at rest (I10)", order.is_open, True)
        expect(f"{name}: terms at rest", (order.price, order.size), (at_venue.price, at_venue.size))
        expect(f"{name}: requests at rest", (order.cancel_wanted, order.amend_size), (at_venue.is_cancelling, None))
        return
    wanted = {STATUS_OF_END[at_venue.end]}
    if at_venue.end is End.EXPIRED and S.EXPIRED not in watched.ends:
        wanted = {S.CANCELLED}
    if S.FILLED not in watched.ends and watched.pending(Ask.AMEND):
        # Nobody told its last terms, so that nobody can tell whether the fills are all there were to be.
        wanted |= {S.FILLED, S.CANCELLED}
    if not watched.is_shown and not watched.ends:
        wanted = {S.REJECTED}
    if order.status not in wanted:
        raise Divergence(f"{name}: status at rest is {order.status.value}, {at_venue.end.value} at the venue")


def _money(position: Position) -> Money:
    return Money(position.size, position.realised - position.cost, position.fees)


def _true_money(venue: Venue, market: InstrumentId) -> Money:
    size = cash = fees = 0
    for order in venue.orders.values():
        for trade in order.trades:
            if order.market == market and not trade.is_voided:
                size += order.side.sign * trade.size
                cash -= order.side.sign * trade.size * trade.price
                fees += trade.fee
    if market in venue.settled:
        size, cash = 0, cash + size * venue.settled[market]
    return Money(size, cash, fees)


def is_report(record: object, *kinds: ReportKind) -> bool:
    """Whether a record is a report of one of these kinds."""
    return isinstance(record, OrderReport) and record.kind in kinds
