"""Fills that no list of the venue shows, worked out from what it states of orders and of positions.

All of it is pure: the same state and the same answers give the same fills, under the same ids. They are published as
ordinary `Fill` events, so that the journal holds them; what is booked already is known from there alone, and a restart
infers nothing twice. The id of a fill is the venue's id of its order, `#`, and the sum of all fills that were ever
inferred for the order, this one included: where nothing is listed, that is the order's cumulative size.

A price is never better for us than what is known. Where an order states its cost, the cost is exact and the price the
nearest one of the grid that is not better for us; where it states none, it is the order's limit. A resting order trades
at its limit, so that only its fee is assumed: the instrument's rate, rounded up.

A fill that is listed after all takes the place of inferred ones: these are taken back (`FillVoided`) before it is
booked, what they hold beyond it is inferred again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil

import msgspec

from framework.domain.account_events import Fill, FillSource, FillVoided, OrderSnapshot, PositionReport
from framework.domain.events import Event
from framework.domain.instruments import FeeModel, Instrument, InstrumentId
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.state.accounts import Accounts
from framework.state.fills import BookedFill

ENDED_NS_MAX = 120_000_000_000
"""So long after its end became known an order may explain a change of the position: it may have traded before it ended,
and a venue that states no amounts does not say so."""

_ENDED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
_NOTHING_PRINTED: Mapping[str, int] = {}


class Explained(msgspec.Struct, frozen=True):
    """What a gap between the venue's position and ours comes from: `events` to be published in this order, and the
    signed `rest` (scaled) that no order of ours explains. `rivals` are the strategies of which more than one could own
    what was given to the first."""

    events: tuple[Event, ...]
    rest: int
    rivals: tuple[str, ...] = ()


def stated_fill(accounts: Accounts, snapshot: OrderSnapshot) -> Fill | None:
    """The fill that an order's statement shows beyond what is booked; None when it shows none, as an older one does.

    For a venue that lists no fills. Publish the snapshot first.
    """
    order = accounts.orders.get(snapshot.client_order_id)
    order = order or accounts.orders.by_venue_id(snapshot.venue, snapshot.venue_order_id)
    instrument = accounts.instruments.get(snapshot.instrument)
    if order is None or instrument is None or order.instrument != instrument.id:
        return None
    evidence = accounts.orders.evidence(order)
    size = Size(snapshot.filled - evidence.traded)
    if size <= 0:
        return None
    cost = None if snapshot.cost is None or snapshot.cost <= evidence.cost else Money(snapshot.cost - evidence.cost)
    price = order.price if cost is None else _price_of(instrument, order, cost, size)
    fee = assumed_fee(instrument, price, size, is_maker=order.post_only)
    if snapshot.fees is not None:
        fee = Money(snapshot.fees - order.fees)
    made = _fill(accounts, order, size, FillSource.INFERRED_ORDER, ts_recv=snapshot.ts_recv)
    is_exact = cost is None or cost == price * size
    return msgspec.structs.replace(
        made,
        price=price,
        cost=None if is_exact else cost,
        fee=fee,
        is_maker=order.post_only,
        ts_venue=snapshot.ts_venue,
    )


def owed_fill(accounts: Accounts, order: Order, *, now_ns: int) -> Fill | None:
    """The fill that comes to what the venue has stated of the order and not listed, at the order's limit; None when
    nothing is missing. For a venue that does not list every fill, once it had the time to."""
    missing = Size(accounts.orders.evidence(order).missing)
    if not missing:
        return None
    return _fill(accounts, order, missing, FillSource.INFERRED_ORDER, ts_recv=now_ns)


def owed_net(accounts: Accounts, venue: str) -> Counter[InstrumentId]:
    """What the venue has stated of orders and is not booked, signed and scaled, by instrument."""
    found = Counter[InstrumentId]()
    for order in accounts.orders.awaiting_fills():
        if order.venue == venue:
            found[order.instrument] += order.side.sign * accounts.orders.evidence(order).missing
    return found


def in_place_of_inferred(accounts: Accounts, fill: Fill) -> list[Event]:
    """What to publish where the venue lists a fill: before it, the voids of the inferred fills that stood for it.

    These are first the inferred ones of its own order: an order takes when it arrives and rests afterwards, so that a
    fill which is listed was among the first. Then, of those that were inferred from a position which showed the fill
    already, the ones of no order, and what other orders have beyond what the venue states of them.
    """
    if accounts.fills.get(fill.venue, fill.fill_id) is not None:
        return [fill]
    order = accounts.orders.get(fill.client_order_id) or accounts.orders.by_venue_id(fill.venue, fill.venue_order_id)
    name = "" if order is None else order.client_order_id
    standing = [one for one in accounts.fills.inferred(fill.instrument) if one.fill.side is fill.side]
    own = [one for one in standing if name and one.client_order_id == name]
    earlier = [one for one in standing if one not in own and fill.ts_venue <= one.fill.ts_venue]
    earlier.sort(key=lambda one: bool(one.client_order_id))
    reason = f"listed as {fill.fill_id}"
    events, left = _take_back(accounts, own, fill.size, reason, now_ns=fill.ts_recv)
    # What is owed to its order counted as ours when the others were inferred: no other stood for that.
    left -= 0 if order is None else accounts.orders.evidence(order).missing
    events += _take_back(accounts, earlier, left, reason, now_ns=fill.ts_recv, is_bounded=True)[0]
    return [*events, fill]


def explain(
    accounts: Accounts,
    instrument: Instrument,
    gap: int,
    *,
    since_ns: int,
    now_ns: int,
    ending: Collection[str] = (),
    is_settled: Callable[[Order], bool] = lambda _order: False,
    printed: Mapping[str, int] = _NOTHING_PRINTED,
) -> Explained:
    """What explains that the venue's position has been `gap` (signed, scaled) above ours since the time `since_ns`,
    with what the venue states of orders and is not booked (`owed_net`) counted as ours.

    First the orders at whose limits was traded in public (`printed`: how much since they were made), then partially
    filled ones, those that have ended before those that rest, the best price first; then orders that ended lately and
    of which no trade is stated; then inferred fills of the other side, given to the wrong order, are taken back. An
    order that gets a part gets what is owed to it, too. `ending` names orders whose end is not published yet. One that
    `is_settled` explains nothing beyond what is stated of it. `now_ns` and `since_ns` are wall nanoseconds.
    """
    side = Side.BUY if gap > 0 else Side.SELL
    left, given, rivals = abs(gap), dict[str, tuple[Order, int]](), tuple[str, ...]()
    for group in _could_own(accounts, instrument, side, now_ns, ending, is_settled, printed):
        rooms = [(one, max(room - given.get(one.client_order_id, (one, 0))[1], 0)) for one, room in group]
        strategies = {order.strategy for order, room in rooms if room}
        if left and len(strategies) > 1 and left < sum(room for _, room in rooms):
            rivals = tuple(sorted(strategies))
        for order, room in rooms:
            size = min(left, room)
            left -= size
            given[order.client_order_id] = order, given.get(order.client_order_id, (order, 0))[1] + size
    events: list[Event] = []
    for order, size in given.values():
        if size:
            size += accounts.orders.evidence(order).missing
            hidden = _fill(accounts, order, Size(size), FillSource.INFERRED_POSITION, ts_recv=now_ns)
            events.append(msgspec.structs.replace(hidden, ts_venue=since_ns))
    wrong = [one for one in accounts.fills.inferred(instrument.id) if one.fill.side is side.opposite]
    voids, left = _take_back(accounts, wrong, left, "the position does not show it", now_ns=now_ns, is_bounded=True)
    return Explained((*events, *voids), left * side.sign, rivals)


def unowned_fill(accounts: Accounts, instrument: Instrument, size: int, *, since_ns: int, now_ns: int) -> Fill:
    """The fill of no order that comes to a signed `size` which nothing explains: a liquidation, or a trade by hand. It
    is priced at the venue's mark or, without one, at what our position cost on average."""
    side = Side.BUY if size > 0 else Side.SELL
    held = accounts.positions.account(instrument.id)
    average = abs(held.cost) // abs(held.size) if held.size else 0
    price = _mark(accounts.venue_positions.get(instrument.id)) or average or instrument.tick_bands[0].end
    return Fill(
        venue=instrument.venue,
        instrument=instrument.id,
        fill_id=f"{instrument.symbol}#{now_ns}",
        venue_order_id="",
        client_order_id="",
        side=side,
        price=Price(price),
        size=Size(abs(size)),
        fee=Money(0),
        is_maker=False,
        ts_venue=since_ns,
        ts_recv=now_ns,
        source=FillSource.INFERRED_POSITION,
    )


def assumed_fee(instrument: Instrument, price: Price, size: Size, *, is_maker: bool) -> Money:
    """The fee by the instrument's rates, rounded up to the smallest unit of its money. *Assumption.*"""
    rate = Fraction(instrument.fees.maker_rate if is_maker else instrument.fees.taker_rate)
    if instrument.fees.model is FeeModel.QUADRATIC:
        rate *= Fraction(instrument.unit - price, instrument.unit)
    return Money(ceil(rate * price * size))


def _mark(report: PositionReport | None) -> int:
    return 0 if report is None else report.mark or report.entry or 0


def _could_own(
    accounts: Accounts,
    instrument: Instrument,
    side: Side,
    now_ns: int,
    ending: Collection[str],
    is_settled: Callable[[Order], bool],
    printed: Mapping[str, int],
) -> Iterator[list[tuple[Order, int]]]:
    """The orders of a side that may have traded unseen, each with how much at most: group after group, in each the best
    price first. An order can be in a later group again, with all that it may have traded."""
    orders = accounts.orders
    known = [one for one in orders.open(venue=instrument.venue, instrument=instrument.id) if one.side is side]
    known += [one for one in orders.ended(instrument=instrument.id) if one.side is side and _ended_lately(one, now_ns)]
    known.sort(key=lambda one: (-one.price * side.sign, one.created_ns, one.client_order_id))
    ended = [one for one in known if one.status in _ENDED or one.client_order_id in ending]
    ended = [one for one in ended if not is_settled(one)]
    partial = [one for one in known if orders.evidence(one).stated and (one.status.may_trade or one in ended)]
    # Of two that have traded for certain, the one that has ended comes first: nothing is reserved for it any more.
    groups = (
        [one for one in partial if one in ended],
        [one for one in partial if one not in ended],
        [one for one in ended if one not in partial],
    )
    certain, rooms = dict[str, int](), dict[str, int]()
    for one in (one for group in groups for one in group):
        evidence = orders.evidence(one)
        # What is booked, or more where the venue states more.
        certain[one.client_order_id] = evidence.traded + evidence.missing
        # An order that rests and that the venue does not state as filled has at least one lot left.
        left = 0 if one in ended else instrument.lot
        rooms[one.client_order_id] = one.size - certain[one.client_order_id] - left
    # What trades at rest trades at its limit, and in public. Prints may be missing, so they only say who comes first.
    seen = {name: min(printed.get(name, 0) - certain[name], room) for name, room in rooms.items()}
    yield [(one, seen[one.client_order_id]) for one in known if one.client_order_id in rooms]
    for group in groups:
        yield [(one, rooms[one.client_order_id]) for one in group]


def _ended_lately(order: Order, now_ns: int) -> bool:
    return order.status.is_final and now_ns - order.updated_ns <= ENDED_NS_MAX


def _take_back(
    accounts: Accounts, standing: Sequence[BookedFill], size: int, reason: str, *, now_ns: int, is_bounded: bool = False
) -> tuple[list[Event], int]:
    """The voids of inferred fills, newest first, until `size` is taken back, and what is left of it. What the last one
    holds beyond it is inferred again. Bounded, an order keeps what the venue states of it."""
    events: list[Event] = []
    taken: dict[str, int] = {}
    for booked in standing:
        fill, name = booked.fill, booked.client_order_id
        order = accounts.orders.get(name) if name else None
        room = int(fill.size)
        if is_bounded and order is not None:
            evidence = accounts.orders.evidence(order)
            room = min(room, evidence.traded - evidence.stated - taken.get(name, 0))
        part = min(room, size)
        if part <= 0:
            continue
        size -= part
        taken[name] = taken.get(name, 0) + part
        events.append(FillVoided(venue=fill.venue, fill_id=fill.fill_id, ts_recv=now_ns, reason=reason))
        if fill.size > part:
            events.append(_remainder(accounts, booked, order, Size(fill.size - part), now_ns))
    return events, size


def _remainder(accounts: Accounts, booked: BookedFill, order: Order | None, size: Size, now_ns: int) -> Fill:
    fill = booked.fill
    instrument = accounts.instruments[fill.instrument]
    fill_id = f"{fill.fill_id}-{size}" if order is None else _id_of(accounts, order, size)
    fee = assumed_fee(instrument, fill.price, size, is_maker=fill.is_maker)
    return msgspec.structs.replace(fill, fill_id=fill_id, size=size, fee=fee, cost=None, ts_recv=now_ns)


def _fill(accounts: Accounts, order: Order, size: Size, source: FillSource, *, ts_recv: int) -> Fill:
    """A fill of a resting order at its limit."""
    instrument = accounts.instruments[order.instrument]
    return Fill(
        venue=order.venue,
        instrument=order.instrument,
        fill_id=_id_of(accounts, order, size),
        venue_order_id=order.venue_order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        price=order.price,
        size=size,
        fee=assumed_fee(instrument, order.price, size, is_maker=True),
        is_maker=True,
        ts_venue=ts_recv,
        ts_recv=ts_recv,
        source=source,
    )


def _id_of(accounts: Accounts, order: Order, size: int) -> str:
    inferred = accounts.orders.evidence(order).inferred + size
    return f"{order.venue_order_id or order.client_order_id}#{inferred}"


def _price_of(instrument: Instrument, order: Order, cost: Money, size: Size) -> Price:
    """The grid price nearest to the average that is not better for us, and not worse than the order's limit."""
    try:
        if order.side is Side.BUY:
            return min(instrument.round_up(Price(-(-cost // size))), order.price)
        return max(instrument.round_down(Price(cost // size)), order.price)
    except ValueError:
        return order.price
