"""Ends every open order of a KalqiX account without the daemon: one request for each market that has some."""

from __future__ import annotations

from collections.abc import Callable

from connectors.client.mass_cancel import MassCancelWay, RestMassCancel, orders_of
from connectors.client.pages import by_number
from connectors.client.rest import SignedRest
from connectors.client.wire.address import is_loopback
from connectors.client.wire.calls import Call
from connectors.client.wire.rows import Row
from connectors.kalqix.dialect import DIALECTS, PAGE_SIZE, limits_of
from connectors.kalqix.settings import KalqixSettings as Settings
from connectors.kalqix.sign import open_account, signer_of
from connectors.kalqix.wire.requests import Fields, cancel_all_orders, cancel_order
from connectors.kalqix.wire.rows import UNKNOWN, Page, market_of, symbol_of
from framework.domain.errors import RefusedByVenue
from framework.domain.market_events import WindowSeen
from framework.domain.mass_cancel import OpenOrder, Stamps
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn


def mass_cancel(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, turn: TakeTurn, stamps: Stamps,
    see: Callable[[WindowSeen], None], proxy: str = "",
) -> RestMassCancel:  # fmt: skip
    """Put it together; no connection is opened yet. Raises `ConfigurationError` for a secret or key that can't be
    used."""
    del see  # answers show no window
    dialect, (sign_action, wallet) = DIALECTS[settings.dialect], signer_of(settings)
    rest = open_account(settings, sign_action, clock=clock, rng=rng, proxy=proxy, turn=turn, stamps=stamps)
    requests = _Requests(rest, {"agent_index": settings.agent_index or 0} if dialect.has_agents else {})
    way = MassCancelWay(
        limits=limits_of(settings.requests_per_second, settings.requests_per_minute, wallet.lower()),
        read_lag_ms=settings.read_lag_ms,
        list_open=requests.listed,
        cancel=lambda order: cancel_order(order.venue_order_id, requests.agent),
        scope=dialect.terms.cancel_all,
        cancel_all=requests.all_of,
    )
    return RestMassCancel(name, rest, way, is_loopback=is_loopback(settings.rest_url), turn=turn)


class _Requests:
    """Requests that need to know the numbers of markets, which are read once."""

    def __init__(self, rest: SignedRest, agent: Fields) -> None:
        self._rest = rest
        self.agent = agent
        self._ids: dict[str, int] = {}

    async def listed(self) -> list[OpenOrder]:
        page = ("page_size", PAGE_SIZE)
        listed = await self._rest.listing("/orders", Page, by_number, [("open", "true"), page])
        if listed.rows and not self._ids:
            markets = await self._rest.listing("/markets", Page, by_number, [page])
            self._ids = {symbol_of(row): market_of(row).market_id for row in markets}
        return list(orders_of(listed, _order, "order_id"))

    async def all_of(self, symbol: str) -> Call:
        if not (number := self._ids.get(symbol, UNKNOWN.market_id)):
            raise RefusedByVenue("unknown_market", f"{symbol}: the number of its market is not known")
        return cancel_all_orders(number, self.agent)


def _order(row: Row) -> OpenOrder:
    name = row.get("client_order_id")
    return OpenOrder(
        venue_order_id=str(row.get("order_id")), symbol=symbol_of(row), client_order_id=str(name) if name else ""
    )
