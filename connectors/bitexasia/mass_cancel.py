"""Ends the open orders of a BitExAsia account without the daemon, one by one: the venue lists none, so they must be
known."""

from __future__ import annotations

from collections.abc import Callable

from connectors.bitexasia.dialect import DIALECT
from connectors.bitexasia.limits import limits_of
from connectors.bitexasia.settings import BitExAsiaSettings as Settings
from connectors.bitexasia.sign import bitexasia_rest
from connectors.bitexasia.wire.messages import OrderRow, cancel_order, decode_order
from connectors.client.mass_cancel import MassCancelWay, RestMassCancel
from connectors.client.rest import or_none
from connectors.client.wire.calls import path_part
from framework.domain.market_events import WindowSeen
from framework.domain.mass_cancel import OpenOrder, Stamps
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn


def mass_cancel(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, turn: TakeTurn, stamps: Stamps,
    see: Callable[[WindowSeen], None], proxy: str = "",
) -> RestMassCancel:  # fmt: skip
    """Put it together; no connection is opened yet. Raises `ConfigurationError` for a secret that can't be used."""
    del stamps  # each request has a random nonce of its own
    rest = bitexasia_rest(name, settings, see, clock=clock, rng=rng, proxy=proxy, turn=turn)

    async def is_open(order: OpenOrder) -> bool:
        path = f"/orders/{path_part(order.venue_order_id)}"
        row = await or_none(rest.read(path, decode_order, endpoint="/orders"))
        return row is not None and not _is_ended(row)

    way = MassCancelWay(
        limits=limits_of(settings.limit),
        read_lag_ms=settings.read_lag_ms,
        cancel=lambda order: cancel_order(order.venue_order_id),
        is_ended=lambda body: _is_ended(decode_order(body)),
        is_open=is_open,
    )
    return RestMassCancel(name, rest, way, is_loopback=settings.is_loopback, turn=turn)


def _is_ended(row: OrderRow) -> bool:
    """Whether a state says so: one that is not known counts as open, whatever is left of the order."""
    return not DIALECT.states.is_open(row.state or row.status, 1)
