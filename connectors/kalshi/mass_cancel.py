"""Ends every open order of a Kalshi account without the daemon: by cancel-all, and one by one in the older dialect."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from connectors.client.mass_cancel import MassCancelWay, RestMassCancel, orders_of
from connectors.client.pages import by_cursor
from connectors.client.rest import SignedRest, make_breaker, open_transport
from connectors.client.venue_time import VenueTime
from connectors.client.wire.calls import Call
from connectors.kalshi.dialect import DIALECTS
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.settings import KalshiSettings as Settings
from connectors.kalshi.wire.encode import AccountScope, cancel_all_orders
from connectors.kalshi.wire.sign import Signer, load_private_key
from framework.domain.market_events import WindowSeen
from framework.domain.mass_cancel import OpenOrder, Stamps
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn


class _Row(msgspec.Struct):
    order_id: str
    ticker: str
    client_order_id: str | None = None


class _Page(msgspec.Struct):
    orders: tuple[_Row, ...]
    cursor: str | None = None


def mass_cancel(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, turn: TakeTurn, stamps: Stamps,
    see: Callable[[WindowSeen], None], proxy: str = "",
) -> RestMassCancel:  # fmt: skip
    """Put it together; no connection is opened yet. Raises `ConfigurationError` for a key that can't be used."""
    del stamps, see  # the venue refuses no repeated timestamp, and its answers show no window
    s, dialect = settings, DIALECTS[settings.dialect]
    signer, breaker = (
        Signer(s.key_id, load_private_key(s.private_key_path)),
        make_breaker(rng, connects_per_minute_max=s.connects_per_minute_max),
    )
    http = open_transport(s.rest_origin, connections_max=s.connections_max, clock=clock, breaker=breaker, proxy=proxy)
    rest = kalshi_rest(http, signer, s, clock=clock, time=VenueTime(clock), turn=turn)
    scope = AccountScope(settings.own_subaccount, use_shards=False)
    way = MassCancelWay(
        limits=dialect.tier_limits(s.tier),
        read_lag_ms=s.read_lag_ms,
        list_open=partial(_listed, rest, s.own_subaccount),
        cancel=lambda order: dialect.writes.cancel_by_id(order.venue_order_id, order.symbol, scope),
        scope=dialect.terms.cancel_all,
        cancel_all=partial(_all, scope),
    )
    return RestMassCancel(name, rest, way, is_loopback=s.is_loopback, turn=turn)


async def _all(scope: AccountScope, _symbol: str) -> Call:
    return cancel_all_orders(scope)


async def _listed(rest: SignedRest, subaccount: int) -> list[OpenOrder]:
    listed = await rest.listing(
        "/portfolio/orders", _Page, by_cursor, [("status", "resting"), ("subaccount", subaccount), ("limit", 1000)]
    )
    return list(orders_of(listed, _order, "order_id"))


def _order(row: _Row) -> OpenOrder:
    return OpenOrder(venue_order_id=row.order_id, symbol=row.ticker, client_order_id=row.client_order_id or "")
