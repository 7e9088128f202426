"""External orders: orders at the venue that are not ours, and the orders behind fills that none of ours claims.

No stream reports an external order that somebody cancelled while the stream was down: without a look-up it would be
shown as open for ever. And a fill may name its order only by the venue's id: the venue is asked whose order it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

import msgspec

from framework.domain.account_events import Fill, OrderAdopted, OrderSnapshot
from framework.domain.orders import Order, TimeInForce
from framework.reconciliation.order_terms import AsOf
from framework.state.accounts import Accounts
from framework.state.orders.client_order_ids import parse_client_order_id

LOOKUPS_PER_PASS_MAX = 20
"""Most look-ups of one kind in a pass; the other orders are looked up in later ones."""
FindOrder = Callable[[Order], Awaitable[OrderSnapshot | None]]
"""Looks an order up at the venue. Raises what the gateway raises."""

EXTERNAL_LOOKUPS_MIN = 2
"""So many look-ups in different passes must not find an order before it counts as gone."""


def placed_elsewhere(accounts: Accounts, venue: str) -> list[OrderSnapshot]:
    """The open orders at the venue with ids in our own format that this journal does not know and the operator does
    not ignore: a daemon on another state directory placed them, or a lost end of this one's journal holds them."""
    return [one for one in accounts.external_orders(venue) if parse_client_order_id(one.client_order_id) is not None]


def adoption(order: OrderSnapshot, strategy: str, now_ns: int) -> OrderAdopted:
    """The event that makes an external order a strategy's, at the wall time `now_ns`."""
    return OrderAdopted(
        venue=order.venue,
        venue_order_id=order.venue_order_id,
        client_order_id=order.client_order_id,
        strategy=strategy,
        instrument=order.instrument,
        side=order.side,
        price=order.price,
        size=order.size,
        filled=order.filled,
        time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
        ts_recv=now_ns,
    )


class ExternalOrders:
    """Looks up the external orders of one venue account, ignored ones included. It publishes nothing itself."""

    def __init__(self, venue: str, find_order: FindOrder, accounts: Accounts) -> None:
        self._venue = venue
        self._find_order = find_order
        self._accounts = accounts
        self._not_found: dict[str, int] = {}
        self._unclaimed: dict[str, int] = {}

    async def look_up(self, listed: Collection[str], as_of: AsOf) -> list[OrderSnapshot]:
        """What became of external orders that are not among the venue order ids `listed`: publish it.

        One that look-ups in several passes did not find is returned as ended, with the reason `not_listed`. Raises what
        the gateway raises.
        """
        known = [
            *self._accounts.external_orders(self._venue),
            *self._accounts.external_orders(self._venue, ignored=True),
        ]
        gone = [one for one in known if one.venue_order_id not in listed and as_of.must_show(one.ts_recv)]
        self._not_found = {one.venue_order_id: self._not_found.get(one.venue_order_id, 0) for one in gone}
        news = []
        for one in gone[:LOOKUPS_PER_PASS_MAX]:
            found = await self._find_order(_order_of(one))
            if found is None:
                self._not_found[one.venue_order_id] += 1
                if self._not_found[one.venue_order_id] < EXTERNAL_LOOKUPS_MIN:
                    continue
                found = msgspec.structs.replace(one, is_open=False, ts_recv=as_of.now_ns, reason="not_listed")
            news.append(found)
        return news

    async def look_up_fills(self, as_of: AsOf) -> list[OrderSnapshot]:
        """The orders behind fills that no known order claims: publish them. Each is asked for in `EXTERNAL_LOOKUPS_MIN`
        passes at most. Raises what the gateway raises."""
        fills = [fill for fill in self._accounts.unmatched.unlisted(self._venue) if as_of.must_show(fill.ts_recv)]
        self._unclaimed = {fill.venue_order_id: self._unclaimed.get(fill.venue_order_id, 0) for fill in fills}
        news = []
        due = [fill for fill in fills if self._unclaimed[fill.venue_order_id] < EXTERNAL_LOOKUPS_MIN]
        for fill in due[:LOOKUPS_PER_PASS_MAX]:
            found = await self._find_order(_order_of(fill))
            self._unclaimed[fill.venue_order_id] += 1
            if found is not None:
                news.append(found)
        return news


def _order_of(fact: Fill | OrderSnapshot) -> Order:
    """What a fill or a listing says of an order, in the form in which a gateway looks up orders."""
    return Order(
        client_order_id=fact.client_order_id,
        venue=fact.venue,
        strategy="",
        instrument=fact.instrument,
        side=fact.side,
        price=fact.price,
        size=fact.size,
        venue_order_id=fact.venue_order_id,
        created_ns=fact.created_ns if isinstance(fact, OrderSnapshot) else 0,
    )
