"""Looking up our open orders at a venue that does not list them, each in its turn.

A look-up per order and second would use up a venue's rate limit with twenty orders. So an order is looked up when it
is likely to have changed, as public trades have reached its price, else at a slow pace; and all of them once after a
start or a reconnect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from framework.domain.account_events import OrderSnapshot
from framework.domain.market_events import TradePrint
from framework.domain.numbers import Price
from framework.domain.orders import Order, TriggerKind
from framework.domain.terms import FillListing
from framework.reconciliation.ports import ReconcileDependencies

EACH_NS = 10_000_000_000
"""Time from one look-up of an order to the next one, when nothing suggests that it has changed."""
REACHED_NS = 1_000_000_000
"""The same while public trades reach its price."""
ENDED_NS = 120_000_000_000
"""So long after its end an order is looked up once more, if it was not yet."""
PACE_NS = 250_000_000
"""The shortest time between two of these look-ups: four a second at most, whatever the number of orders."""


class PacedLookups:
    """The turns of one venue account's open orders. `look_up` asks for orders and publishes the answers,
    `take_in` publishes one."""

    def __init__(
        self,
        dependencies: ReconcileDependencies,
        look_up: Callable[[Sequence[Order]], Awaitable[object]],
        take_in: Callable[[OrderSnapshot], None],
    ) -> None:
        self._dependencies = dependencies
        self._look_up, self._take_in = look_up, take_in
        self._due: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._next_ns = 0
        self._is_whole_due = True
        self._seen_ended: set[str] = set()

    def request(self) -> None:
        """Have every order looked up by the next pass, as after a reconnect."""
        self._is_whole_due = True

    async def look_up_all(self) -> None:
        """Look up every order if that is due: at the start, and after `request`."""
        if self._is_whole_due:
            self._is_whole_due = False
            now_ns = self._dependencies.clock.monotonic_ns()
            at_venue = self._at_venue()
            self._due = dict.fromkeys(at_venue, now_ns + EACH_NS)
            self._last = dict.fromkeys(at_venue, now_ns)
            await self._look_up(list(at_venue.values()))

    async def look_up_ended(self) -> None:
        """Where fills are listed nowhere, look up what has ended lately until the venue shows the end: a report of it
        need not state what was filled. Also what has ended with more filled than is booked: a stop makes one last pass,
        and must leave none of it out. Call in each pass. Raises what the gateway raises: it is tried again."""
        dependencies, orders = self._dependencies, self._dependencies.accounts.orders
        if dependencies.terms().fills is not FillListing.BY_ORDER:
            return
        since_ns = dependencies.clock.now_ns() - ENDED_NS
        ended = orders.ended(venue=dependencies.venue)
        lately = [one for one in ended if one.updated_ns >= since_ns and one.venue_order_id and one.filled < one.size]
        self._seen_ended.intersection_update(one.client_order_id for one in lately)
        owed = [one for one in orders.awaiting_fills() if one.venue == dependencies.venue and not one.status.may_trade]
        unseen = [one for one in lately if one.client_order_id not in self._seen_ended]
        for order in {one.client_order_id: one for one in (*owed, *unseen)}.values():
            found = await dependencies.find_order(order)
            if found is not None and not found.is_open:
                self._seen_ended.add(order.client_order_id)
                self._take_in(found)

    def on_trade(self, trade: TradePrint) -> None:
        """Have the orders looked up whose price a public trade has reached: they may have traded."""
        for order in self._dependencies.accounts.orders.open(
            venue=self._dependencies.venue, instrument=trade.instrument
        ):
            if order.status.is_at_venue and _is_reached(order, trade.price):
                self._due[order.client_order_id] = self._last.get(order.client_order_id, -REACHED_NS) + REACHED_NS

    async def resolve(self) -> None:
        """Look up the order whose turn it is, if one is due. Raises what the gateway raises: it is due again later."""
        now_ns = self._dependencies.clock.monotonic_ns()
        if self._dependencies.terms().open_orders or now_ns < self._next_ns:
            return
        at_venue = self._at_venue()
        self._due = {name: self._due.get(name, now_ns + EACH_NS) for name in at_venue}
        self._last = {name: self._last[name] for name in at_venue if name in self._last}
        name = min(self._due, key=self._due.__getitem__, default="")
        if name and self._due[name] <= now_ns:
            self._last[name], self._due[name], self._next_ns = now_ns, now_ns + EACH_NS, now_ns + PACE_NS
            await self._look_up([at_venue[name]])

    def _at_venue(self) -> dict[str, Order]:
        open_orders = self._dependencies.accounts.orders.open(venue=self._dependencies.venue)
        return {one.client_order_id: one for one in open_orders if one.status.is_at_venue}


def _is_reached(order: Order, price: Price) -> bool:
    """Whether a trade at this price may have filled the order: it was as good as its limit, and, of an order that waits
    for a trigger, as far as that. Else every trade would be one of a stop, whose limit lies beyond the market."""
    sign, trigger = order.side.sign, order.trigger
    if (order.price - price) * sign < 0:
        return False
    if trigger is None or order.filled:
        return True
    moved = (price - trigger.price) * sign
    return moved >= 0 if trigger.kind is TriggerKind.STOP else moved <= 0
