"""Ends every open order of a ZDEX account without the daemon, one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from connectors.client.mass_cancel import MassCancelWay, RestMassCancel, orders_of
from connectors.client.pages import by_offset
from connectors.client.rest import SignedRest
from connectors.client.wire.address import is_loopback
from connectors.zdex.limits import limits_of
from connectors.zdex.settings import ZdexSettings as Settings
from connectors.zdex.sign import zdex_rest
from connectors.zdex.wire.encode import OPEN, ORDERS, PAGE, cancel
from connectors.zdex.wire.messages import OrderPage, OrderRow
from framework.domain.market_events import WindowSeen
from framework.domain.mass_cancel import OpenOrder, Stamps
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn


def mass_cancel(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, turn: TakeTurn, stamps: Stamps,
    see: Callable[[WindowSeen], None], proxy: str = "",
) -> RestMassCancel:  # fmt: skip
    """Put it together; no connection is opened yet. Raises `ConfigurationError` for a secret that can't be used."""
    del see  # answers show no window
    rest = zdex_rest(settings, clock=clock, rng=rng, proxy=proxy, turn=turn, stamps=stamps)
    way = MassCancelWay(
        limits=limits_of(settings.requests_per_window, settings.orders_per_window, settings.window_s),
        read_lag_ms=settings.read_lag_ms,
        list_open=partial(_listed, rest),
        cancel=lambda order: cancel(order.venue_order_id),
    )
    return RestMassCancel(name, rest, way, is_loopback=is_loopback(settings.rest_url), turn=turn)


async def _listed(rest: SignedRest) -> list[OpenOrder]:
    found: dict[str, OpenOrder] = {}
    for status in OPEN:
        listed = await rest.listing(ORDERS, OrderPage, by_offset, [("status", status), PAGE])
        found |= {one.venue_order_id: one for one in orders_of(listed, _order, "id")}
    return list(found.values())


def _order(row: OrderRow) -> OpenOrder:
    return OpenOrder(venue_order_id=row.id, symbol=row.symbol, client_order_id=row.client_order_id or "")
