"""Pending cancels: which orders are to end, by which requests, and whether a cancel of each is under way.

That an order is to end outlives the request that asked for it: a cancel that was refused, rate limited or lost is asked
again when the venue next shows the order open, so at the pace of the look-ups, until the order has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from framework.domain.account_events import AccountEvent, OrderReport, OrderSnapshot, ReportKind, Scope
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CancelAll, CancelOrder
from framework.domain.operator_requests import OPERATOR
from framework.domain.orders import Order
from framework.domain.terms import CancelAllScope, VenueTerms
from framework.domain.verdicts import Approved
from framework.state.orders.index import Orders

TOGETHER_MIN = 2
"""From so many orders on, one request in place of their cancels is cheaper: it costs what one cancel does."""

Area = tuple[str, InstrumentId]
"""What one request can end: a venue and an instrument, which is empty for all of the account."""


def plan_cancels(
    orders: Sequence[Order],
    scope: Scope,
    terms: Callable[[str], VenueTerms],
    is_ours_alone: Callable[[str, InstrumentId], bool],
) -> Iterator[CancelOrder | CancelAll]:
    """How to end `orders`: all that are open in `scope` and not asked to end yet, in their sequence.

    One request ends all of an account or of a market where the venue takes it, the scope holds all of that, at least
    `TOGETHER_MIN` of the orders rest in it, and `is_ours_alone(venue, instrument)`: no order of others would end too.
    """
    areas = [_area(order, scope, terms(order.venue).cancel_all) for order in orders]
    resting = Counter(area for order, area in zip(orders, areas, strict=True) if order.status.is_at_venue)
    together = {area for area, count in resting.items() if area and count >= TOGETHER_MIN and is_ours_alone(*area)}
    asked = set[Area]()
    for order, area in zip(orders, areas, strict=True):
        if area is None or area not in together:
            yield CancelOrder(strategy=order.strategy, client_order_id=order.client_order_id)
        elif area not in asked:
            asked.add(area)
            yield CancelAll(strategy=OPERATOR, venue=area[0], instrument=area[1])


def _area(order: Order, scope: Scope, offered: CancelAllScope) -> Area | None:
    if offered is CancelAllScope.ACCOUNT and scope in (Scope.GLOBAL, Scope.VENUE):
        return order.venue, InstrumentId("")
    if offered is CancelAllScope.MARKET and scope is not Scope.STRATEGY:
        return order.venue, order.instrument
    return None


class PendingCancels:
    """The orders of one kernel that are to end, in the order in which that was asked for."""

    __slots__ = ("_is_under_way",)

    def __init__(self, orders: Orders) -> None:
        """`orders`: as they are at the start; what an earlier run wanted to end is taken over, also where the last
        cancel was refused."""
        wanted = (one for one in orders.open() if one.cancel_wanted or orders.evidence(one).is_end_wanted)
        self._is_under_way = {order.client_order_id: False for order in wanted}

    def __contains__(self, client_order_id: object) -> bool:
        return client_order_id in self._is_under_way

    def is_due(self, approved: Approved, orders: Orders) -> bool:
        """Whether an approved cancel leaves now. Call once per cancel, before it is applied to `orders`.

        One of all orders does: those that the venue has are then under way. One of a single order does not while
        another of the same order is under way already, and not before the venue is known to have the order: until then
        the dispatcher may drop the order unsent, and `due_after` says when the cancel is due.
        """
        if isinstance(approved.intent, CancelAll):
            for one in _open_in(approved.intent, orders):
                self._is_under_way[one.client_order_id] = one.status.is_at_venue
            return True
        order = orders.get(approved.client_order_id)
        if order is None:
            return True
        is_under_way = self._is_under_way.get(order.client_order_id, False)
        is_due = order.status.is_at_venue and not is_under_way
        self._is_under_way[order.client_order_id] = is_due or is_under_way
        return is_due

    def covered(self, intent: CancelAll, orders: Orders) -> tuple[Order, ...]:
        """The orders that this request is to end."""
        return tuple(one for one in _open_in(intent, orders) if one.client_order_id in self._is_under_way)

    def why_not_all(self, intent: CancelAll, orders: Orders) -> str | None:
        """Why this request must not leave any more: nothing is to end by it, or what is to stay would."""
        resting = [one for one in _open_in(intent, orders) if one.status.is_at_venue]
        if not resting:
            return "nothing is open there any more"
        to_stay = [one.client_order_id for one in resting if one.client_order_id not in self._is_under_way]
        return f"{to_stay[0]} is to stay" if to_stay else None

    def due_after(self, event: AccountEvent, orders: Iterable[Order]) -> list[Order]:
        """Which of `orders`, of which the event tells, must be asked to end (again). None after a refused cancel
        itself: that would ask as fast as the venue can refuse; nor while the venue shows that it has taken one."""
        is_refusal = isinstance(event, OrderReport) and event.kind is ReportKind.CANCEL_REFUSED
        is_taken = isinstance(event, OrderSnapshot) and event.is_cancelling
        due = []
        for order in orders:
            name = order.client_order_id
            if order.status.is_final:
                self._is_under_way.pop(name, None)
                continue
            if order.cancel_wanted:
                # It had counted as ended and is open after all, with what was wanted before.
                self._is_under_way.setdefault(name, is_taken)
            if name not in self._is_under_way:
                continue
            if is_refusal or is_taken:
                self._is_under_way[name] = is_taken
            elif order.status.is_at_venue and not self._is_under_way[name]:
                due.append(order)
        return due


def _open_in(intent: CancelAll, orders: Orders) -> list[Order]:
    found = orders.open(venue=intent.venue, instrument=intent.instrument or None)
    return [order for order in found if order.status.may_trade]
