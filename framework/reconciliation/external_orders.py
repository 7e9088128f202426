"""Orders at the venue that are not ours: when one is no longer listed, its end is looked up as well.

Nobody tells of an order that a person cancelled by hand while the stream was down; without this it would be shown as
an orphan for ever. And fills may name an order only by the venue's id: whose it is, ours or a person's, is asked for.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from framework.domain.account_events import Fill, OrderSnapshot
from framework.domain.orders import Order
from framework.domain.venue import Gateway
from framework.reconciliation.order_terms import AsOf
from framework.state.accounts import Accounts

LOOKUPS_PER_PASS_MAX = 20
EXTERNAL_LOOKUPS_MIN = 2
"""So many look-ups in different passes must not find an order before it counts as gone."""


class ExternalOrders:
    """The orphans of one venue account, ignored ones included."""

    def __init__(self, venue: str, gateway: Gateway, accounts: Accounts) -> None:
        self._venue = venue
        self._gateway = gateway
        self._accounts = accounts
        self._not_found: dict[str, int] = {}
        self._unclaimed: dict[str, int] = {}

    async def look_up(self, listed: Collection[str], as_of: AsOf) -> list[OrderSnapshot]:
        """What became of orphans that are not among the venue order ids `listed`. Raises what the gateway raises."""
        known = [
            *self._accounts.external_orders(self._venue),
            *self._accounts.external_orders(self._venue, ignored=True),
        ]
        gone = [one for one in known if one.venue_order_id not in listed and as_of.must_show(one.ts_recv)]
        self._not_found = {one.venue_order_id: self._not_found.get(one.venue_order_id, 0) for one in gone}
        news = []
        for one in gone[:LOOKUPS_PER_PASS_MAX]:
            found = await self._gateway.find_order(_order_of(one))
            if found is None:
                self._not_found[one.venue_order_id] += 1
                if self._not_found[one.venue_order_id] < EXTERNAL_LOOKUPS_MIN:
                    continue
                found = msgspec.structs.replace(one, is_open=False, ts_recv=as_of.now_ns, reason="not_listed")
            news.append(found)
        return news

    async def look_up_fills(self, as_of: AsOf) -> list[OrderSnapshot]:
        """The orders of fills that no order claims, each asked for a few times. Raises what the gateway raises."""
        fills = [fill for fill in self._accounts.unmatched.unlisted(self._venue) if as_of.must_show(fill.ts_recv)]
        self._unclaimed = {fill.venue_order_id: self._unclaimed.get(fill.venue_order_id, 0) for fill in fills}
        news = []
        for fill in [one for one in fills if self._unclaimed[one.venue_order_id] < EXTERNAL_LOOKUPS_MIN][
            :LOOKUPS_PER_PASS_MAX
        ]:
            found = await self._gateway.find_order(_order_behind(fill))
            self._unclaimed[fill.venue_order_id] += 1
            if found is not None:
                news.append(found)
        return news


def _order_behind(fill: Fill) -> Order:
    """What a fill tells of its order, in the form in which a gateway looks orders up."""
    return Order(
        client_order_id=fill.client_order_id,
        venue=fill.venue,
        strategy="",
        instrument=fill.instrument,
        side=fill.side,
        price=fill.price,
        size=fill.size,
        venue_order_id=fill.venue_order_id,
    )


def _order_of(snapshot: OrderSnapshot) -> Order:
    """The listing in the form in which a gateway looks orders up."""
    return Order(
        client_order_id=snapshot.client_order_id,
        venue=snapshot.venue,
        strategy="",
        instrument=snapshot.instrument,
        side=snapshot.side,
        price=snapshot.price,
        size=snapshot.size,
        venue_order_id=snapshot.venue_order_id,
        created_ns=snapshot.created_ns,
    )
