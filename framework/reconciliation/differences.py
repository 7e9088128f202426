"""Differences between what the venue states and what is known here, described so that an operator can act on them.

Nothing here publishes or changes anything: `framework.reconciliation.reconciler` publishes what the venue states, and
the state machine decides. All but `compare` are pure; `compare` asks the venue for everything, for a dry run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import msgspec

from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Price, Size, to_decimal
from framework.domain.operator_requests import Answer
from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import Clock
from framework.domain.terms import FillListing, PositionListing, VenueTerms
from framework.domain.venue import Gateway, UnreadableRow, left_out
from framework.reconciliation.fill_query import FillQuery, owed
from framework.reconciliation.order_terms import AsOf
from framework.state.accounts import Accounts
from framework.state.orders.client_order_ids import parse_client_order_id

_IDS_SHOWN_MAX = 3
_UNPROVED = frozenset({OrderStatus.RECORDED, OrderStatus.SENT, OrderStatus.UNKNOWN})


class DifferenceKind(Enum):
    """What does not agree. The values are a format: reports and the history file show them."""

    POSITION = "position"
    EXTERNAL_ORDER = "orphan"
    """An open order at the venue that is not ours."""
    ONLY_HERE = "only_here"
    """An order that is open here and that the venue does not list."""
    FILLS = "fills"
    """Trades of the account that are not booked here."""
    STATUS = "status"
    """An order that both know, in different states or on different terms."""
    UNREADABLE = "unreadable"
    """A row of one of the venue's lists that can't be read."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on which the venue and this daemon do not agree.

    `venue_word` is what the venue states and `own_word` what is known here, as text. `subject` is the order's id, ours
    or for external orders the venue's, empty for positions and fills. `why` is the likeliest reason, not a proof;
    `action` is what a pass does about it. `since_ns` is the monotonic time of the first pass that found it.
    `venue_size` and `own_size` are exact contracts, signed, 0 but for positions.
    """

    kind: DifferenceKind
    venue: str
    instrument: InstrumentId
    venue_word: str
    own_word: str
    why: str
    action: str
    since_ns: int
    subject: str = ""
    venue_size: Decimal = Decimal(0)
    own_size: Decimal = Decimal(0)

    @property
    def gap(self) -> Decimal:
        """How many contracts more the venue has than we, signed; 0 but for positions."""
        return self.venue_size - self.own_size

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same difference in two passes: kind, venue, instrument, order and size."""
        return (self.kind.value, self.venue, self.instrument, self.subject, str(self.gap))

    @property
    def text(self) -> str:
        """All of it in one line for an operator: what each side has, the likeliest reason, and what is done."""
        what = f"{self.kind.value} {self.subject}".rstrip()
        return (
            f"{self.instrument}: {what}: venue {self.venue_word}; here {self.own_word}. "
            f"Why: {self.why}. What is done: {self.action}."
        )

    def fields(self, *, now_ns: int, monotonic_ns: int) -> dict[str, Any]:
        """All of it for a program, under keys that are a format. `since_ns` is shown as wall time: the two times given
        are of the same instant, in nanoseconds."""
        words = ("venue", "instrument", "subject", "venue_word", "own_word", "why", "action")
        return {
            "kind": self.kind.value,
            **{word: getattr(self, word) for word in words},
            "since_ns": now_ns - (monotonic_ns - self.since_ns),
            "text": self.text,
        }


def not_known(venue: str, terms: VenueTerms) -> list[str]:
    """What can't be compared at a venue that does not list everything, in sentences for an operator."""
    said = {
        "open orders are not listed: orders that are not ours can't be known here": not terms.open_orders,
        "own fills are not listed: they are worked out from what is stated of orders": terms.fills
        is FillListing.BY_ORDER,
        "fills of resting orders are not listed: they are worked out from the position": terms.fills
        is FillListing.TAKER_ONLY,
        "positions can't be read: changes of balances are compared": terms.positions is PositionListing.NONE,
    }
    return [f"{venue}: {sentence}" for sentence, is_so in said.items() if is_so]


def unreadable(venue: str, rows: Iterable[UnreadableRow], as_of: AsOf) -> list[Difference]:
    """One difference for each row that can't be read: whether it agrees with ours is not known."""
    return [
        Difference(
            kind=DifferenceKind.UNREADABLE,
            venue=venue,
            instrument=row.instrument or InstrumentId(f"{venue}:?"),
            subject=row.subject,
            venue_word=f"a row of the {row.listing} that can't be read ({row.detail})",
            own_word="not compared",
            why="the venue sends it in another form than it documents",
            action="it counts as neither there nor gone; look at the venue, and report it",
            since_ns=as_of.monotonic_ns,
        )
        for row in rows
    ]


def orders_apart(
    venue: str,
    accounts: Accounts,
    listed: Sequence[OrderSnapshot],
    as_of: AsOf,
    *,
    drift_ms_max: int,
    unread: Sequence[UnreadableRow] = (),
) -> list[Difference]:
    """External orders, orders whose status or terms differ, orders that only we know, and rows that can't be read.

    `listed` are the venue's open orders as of `as_of`, and `unread` the rows of that list that can't be read. External
    orders that the operator ignores are left out; so is one that is under a cancel and not listed any more, unless that
    has lasted for `drift_ms_max`: it is as was asked for, and its end is on its way.
    """
    ignored = {one.venue_order_id for one in accounts.external_orders(venue, ignored=True)}
    found: list[Difference] = []
    for snapshot in listed:
        order = accounts.orders.get(snapshot.client_order_id)
        order = order or accounts.orders.by_venue_id(venue, snapshot.venue_order_id)
        if order is not None:
            found += _apart(order, snapshot, accounts, as_of)
        elif snapshot.venue_order_id not in ignored:
            found.append(_external_order(snapshot, accounts.instruments.get(snapshot.instrument), as_of))
    found += unreadable(venue, unread, as_of)
    seen = {snapshot.venue_order_id for snapshot in listed} | {row.subject for row in unread if row.subject}
    ending_ns_max = drift_ms_max * 1_000_000
    for order in unlisted(venue, accounts, seen, as_of):
        is_ending = order.status is OrderStatus.CANCEL_REQUESTED
        if not is_ending or as_of.now_ns - order.updated_ns > ending_ns_max:
            found.append(_only_here(order, as_of))
    return found


def unlisted(venue: str, accounts: Accounts, seen: Collection[str], as_of: AsOf) -> list[Order]:
    """Orders that are open here, whose listing must show them by now, and that are not among the listed venue order
    ids `seen`."""
    return [
        order
        for order in accounts.orders.open(venue=venue)
        if order.status.is_at_venue and as_of.must_show(order.updated_ns) and order.venue_order_id not in seen
    ]


def fills_apart(venue: str, accounts: Accounts, missing: Iterable[Fill], as_of: AsOf) -> list[Difference]:
    """One difference per instrument for the fills `missing` here. Left out are those so fresh that the stream may still
    bring them."""
    groups: dict[InstrumentId, list[Fill]] = {}
    for fill in missing:
        if as_of.must_show(fill.ts_venue):
            groups.setdefault(fill.instrument, []).append(fill)
    return [
        Difference(
            kind=DifferenceKind.FILLS,
            venue=venue,
            instrument=instrument,
            venue_word=f"{_count(len(fills), 'fill')}, net {_size(_net(fills), accounts.instruments.get(instrument))}"
            f" ({_some([fill.fill_id for fill in fills])})",
            own_word="not booked",
            why="traded while nothing was received here: before a start, or while the stream was down",
            action="book them, each once",
            since_ns=as_of.monotonic_ns,
        )
        for instrument, fills in groups.items()
    ]


def unbooked(accounts: Accounts, listed: Sequence[Fill]) -> list[Fill]:
    """Those of the listed fills that are missing here. One as old as fills that are forgotten counts as booked, unless
    its order's numbers prove that it is not: nothing else tells it from one of them (I4)."""
    fills, late = accounts.fills, owed(accounts, listed)
    return [
        fill for fill in listed if fills.get(fill.venue, fill.fill_id) is None and (fills.is_news(fill) or fill in late)
    ]


def positions_apart(
    venue: str,
    accounts: Accounts,
    reports: Iterable[PositionReport],
    as_of: AsOf,
    *,
    drift_ms_max: int,
    missing: Sequence[Fill] = (),
    unread: Sequence[UnreadableRow] = (),
) -> list[Difference]:
    """Instruments of the venue in which its position and ours are not the same; one without a report counts as flat,
    but those of the rows `unread`, whose position is not known.

    `missing` are fills that are not booked yet and that a pass books before it compares: they count as booked.
    `drift_ms_max` is only shown.
    """
    unknown = {row.instrument for row in unread}
    sizes = {report.instrument: report.size for report in reports}
    found = []
    for instrument in accounts.instruments.values():
        unbooked = [fill for fill in missing if fill.instrument == instrument.id]
        own, theirs = _own_size(accounts, instrument.id, unbooked), sizes.get(instrument.id, 0)
        if instrument.venue != venue or own == theirs or instrument.id in unknown:
            continue
        own_word = instrument.size_text(own)
        found.append(
            Difference(
                kind=DifferenceKind.POSITION,
                venue=venue,
                instrument=instrument.id,
                venue_word=instrument.size_text(Size(theirs)),
                own_word=f"{own_word} with the missing fills booked" if unbooked else own_word,
                why=_why_apart(accounts, instrument),
                action=f"halt the instrument once it has been so for {drift_ms_max} ms",
                since_ns=as_of.monotonic_ns,
                venue_size=to_decimal(theirs, instrument.size_decimals),
                own_size=to_decimal(own, instrument.size_decimals),
            )
        )
    return found


def _own_size(accounts: Accounts, instrument: InstrumentId, unbooked: Iterable[Fill]) -> Size:
    """The account's position once these fills are booked, too. In a settled instrument they are paid out at once."""
    own = accounts.positions.account(instrument).size
    return own if instrument in accounts.settlements else Size(own + _net(unbooked))


def _why_apart(accounts: Accounts, instrument: Instrument) -> str:
    """The likeliest reason why the positions in an instrument differ."""
    if instrument.id in accounts.settlements:
        return "it was settled, and the venue still shows a position"
    awaited = [one.client_order_id for one in accounts.orders.awaiting_fills() if one.instrument == instrument.id]
    if awaited:
        return f"the venue states more filled than there are fills for {_some(awaited)}"
    unknown = [
        one.client_order_id
        for one in accounts.orders.open(venue=instrument.venue, instrument=instrument.id)
        if one.status is OrderStatus.UNKNOWN
    ]
    if unknown:
        return f"orders of unknown outcome may have traded: {_some(unknown)}"
    return "no fill explains it: a transfer, a trade from before this journal, or a fill that the venue does not list"


def _apart(order: Order, snapshot: OrderSnapshot, accounts: Accounts, as_of: AsOf) -> list[Difference]:
    """An order that both know: no difference, or one. An amend without an answer is none: its inquiry is under way."""
    instrument = accounts.instruments.get(order.instrument)
    if not as_of.must_show(order.updated_ns) or order.status is OrderStatus.AMEND_REQUESTED:
        return []
    own_word = order.status.value
    if order.status.is_final:
        why = f"an end was reported that the venue does not show ({order.reason or 'no reason given'})"
        action = "an end that was only inferred is undone and the instrument halted; a proved one stands"
    elif order.status in _UNPROVED:
        why, action = "the answer to its request was lost", "it counts as working"
    elif (order.price, order.size) != (snapshot.price, snapshot.size):
        own_word = f"{own_word}, {_terms(order.price, order.size, instrument)}"
        why, action = "changed by another program, or the answer to an amend was lost", "take the venue's terms"
    else:
        return []
    return [
        Difference(
            kind=DifferenceKind.STATUS,
            venue=order.venue,
            instrument=order.instrument,
            subject=order.client_order_id,
            venue_word=f"open, {_terms(snapshot.price, snapshot.size, instrument)}",
            own_word=own_word,
            why=why,
            action=action,
            since_ns=as_of.monotonic_ns,
        )
    ]


def _external_order(snapshot: OrderSnapshot, instrument: Instrument | None, as_of: AsOf) -> Difference:
    is_made_here = parse_client_order_id(snapshot.client_order_id) is not None
    return Difference(
        kind=DifferenceKind.EXTERNAL_ORDER,
        venue=snapshot.venue,
        instrument=snapshot.instrument,
        subject=snapshot.venue_order_id,
        venue_word=f"open, {snapshot.side.value} {_terms(snapshot.price, snapshot.size, instrument)}"
        f", filled {_size(snapshot.filled, instrument)}",
        own_word="unknown",
        why="a Tidegate daemon placed it, and this is not its journal: another one, or cut short"
        if is_made_here
        else "placed by hand or by another program",
        action="nothing by itself; it counts in the limits. `tidegate external-orders adopt|cancel|ignore ID` decides"
        f"{f', or `venues.{snapshot.venue}.adopt_own`' if is_made_here else ''}",
        since_ns=as_of.monotonic_ns,
    )


def _only_here(order: Order, as_of: AsOf) -> Difference:
    return Difference(
        kind=DifferenceKind.ONLY_HERE,
        venue=order.venue,
        instrument=order.instrument,
        subject=order.client_order_id,
        venue_word="not listed as open",
        own_word=order.status.value,
        why="its cancel was taken, and its end is not proved yet"
        if order.cancel_wanted
        else "it ended at the venue, and no report of it was received",
        action="look it up; what the venue says of its end is taken over",
        since_ns=as_of.monotonic_ns,
    )


def _net(fills: Iterable[Fill]) -> Size:
    return Size(sum(fill.side.sign * fill.size for fill in fills))


def _terms(price: Price, size: Size, instrument: Instrument | None) -> str:
    if instrument is None:
        return f"scaled {size} at {price}"
    return f"{instrument.size_text(size)} at {instrument.price_text(price)}"


def _size(size: Size, instrument: Instrument | None) -> str:
    return f"scaled {size}" if instrument is None else instrument.size_text(size)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(ids: Sequence[str]) -> str:
    rest = len(ids) - _IDS_SHOWN_MAX
    return ", ".join(ids[:_IDS_SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "")


async def compare(
    venue: str, gateway: Gateway, accounts: Accounts, *, fill_query: FillQuery, clock: Clock, drift_ms_max: int
) -> list[Difference]:
    """Ask the venue for everything that a pass asks for, and compare; nothing is published or changed.

    A position counts only when it is apart by the same size again after the venue's read lag, which this waits for.
    `drift_ms_max` is only shown. Raises what the gateway raises.
    """
    ask = partial(
        _compare_once, venue, gateway, accounts, fill_query=fill_query, clock=clock, drift_ms_max=drift_ms_max
    )
    found = await ask()
    if any(one.kind is DifferenceKind.POSITION for one in found):
        before = {one.key for one in found}
        await asyncio.sleep(gateway.read_lag_ms / 1000)
        found = [one for one in await ask() if one.kind is not DifferenceKind.POSITION or one.key in before]
    return found


async def _compare_once(
    venue: str, gateway: Gateway, accounts: Accounts, *, fill_query: FillQuery, clock: Clock, drift_ms_max: int
) -> list[Difference]:
    asked = AsOf.of(clock, lag_ms=gateway.read_lag_ms)
    listed = await gateway.open_orders()
    found: list[Difference] = []
    if listed is not None:
        listed_as_of = AsOf.of(clock, lag_ms=gateway.read_lag_ms).after(asked)
        unread = left_out(gateway, "orders")
        found += orders_apart(venue, accounts, listed, listed_as_of, drift_ms_max=drift_ms_max, unread=unread)
    missing = unbooked(accounts, await fill_query.peek())
    positions = await gateway.positions()
    as_of = AsOf.of(clock, lag_ms=gateway.read_lag_ms)
    unread = left_out(gateway, "positions")
    found += fills_apart(venue, accounts, missing, as_of)
    found += unreadable(venue, (*left_out(gateway, "fills"), *unread), as_of)
    if positions is None:
        return found
    return found + positions_apart(
        venue, accounts, positions, as_of, drift_ms_max=drift_ms_max, missing=missing, unread=unread
    )


def reconcile_answer(
    differences: Sequence[Difference], troubles: Sequence[str], clock: Clock, *, agreed: str
) -> Answer:
    """The answer to a comparison: `troubles` say which venues could not be asked, and any makes it not done; `agreed`
    is said when nothing differs and every venue was asked."""
    now_ns, monotonic_ns = clock.now_ns(), clock.monotonic_ns()
    lines = [one.text for one in differences] or ([] if troubles else [agreed])
    return Answer(
        is_ok=not troubles,
        lines=(*troubles, *lines),
        data=[one.fields(now_ns=now_ns, monotonic_ns=monotonic_ns) for one in differences],
    )
