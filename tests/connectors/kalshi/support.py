"""Stand-ins for Kalshi's stream and for the gate, settings, and what the venue lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.client.instruments import InstrumentRegistry, ReadBegan
from connectors.kalshi.markets.instruments import instrument_of, listed_of
from connectors.kalshi.rest.rate_limits import documented_costs, rate_limits, tier_limits
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.market_messages import PriceRange, RestMarket
from connectors.transport.ports import OnMessage
from framework.domain.events import Event
from framework.domain.instruments import FeeModel, FeeSchedule, Instrument
from framework.domain.intents import Intent, NewOrder
from framework.domain.market_events import LimitsDeclared
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.verdicts import Approved
from framework.own_budget import OwnBudget
from tests.connectors import support
from tests.connectors.support import LoopClock, ScriptedConnection

TICKER = "KXTIDE-26NOV21-B200"
FEES = FeeSchedule(model=FeeModel.QUADRATIC, taker_rate="0.07", maker_rate="0")


class ScriptedWebSocket:
    """A `WebSocketTransport`: each connect takes the next entry of `script`, an error or a reply function."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.script: list[Exception | Callable[[ScriptedConnection, dict[str, Any]], None]] = []
        self.connections: list[ScriptedConnection] = []
        self.headers: list[dict[str, str]] = []
        self.connected_ns: list[int] = []

    async def connect(
        self,
        target: str,
        headers: tuple[tuple[str, str], ...],
        *,
        on_message: OnMessage,
        timeout_ms: int,
    ) -> ScriptedConnection:
        assert target == "/trade-api/ws/v2"
        assert timeout_ms > 0
        self.headers.append(dict(headers))
        self.connected_ns.append(self._clock.monotonic_ns())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        connection = ScriptedConnection(self._clock, on_message)
        connection.reply = step
        self.connections.append(connection)
        return connection


def key_file(directory: Path) -> Path:
    """A fresh Ed25519 key, readable by its owner only."""
    path = directory / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


def settings_for(directory: Path, **changes: Any) -> KalshiSettings:
    """Settings of a test account; the highest tier, so that no read has to wait."""
    values: dict[str, Any] = {
        "rest_url": "http://127.0.0.1:1/trade-api/v2",
        "ws_url": "ws://127.0.0.1:1/trade-api/ws/v2",
        "key_id": "a4a6f7b0-0000-4000-8000-000000000001",
        "private_key_path": key_file(directory),
        "markets": ("series:KXTIDE",),
        "tier": "prestige",
    }
    return KalshiSettings(**(values | changes))


def tier_budget(settings: KalshiSettings, clock: Clock) -> OwnBudget:
    """A budget with the documented limits of a tier: what the connector assumes at its start."""
    budget = OwnBudget("kalshi", clock=clock)
    limits = rate_limits(tier_limits(settings.tier), documented_costs())
    budget.publish(LimitsDeclared("kalshi", limits, clock.now_ns()))
    return budget


def market(ticker: str = TICKER, **changes: Any) -> RestMarket:
    """A market as REST lists it."""
    values: dict[str, Any] = {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "status": "active",
        "close_time": "2026-06-25T16:00:00Z",
        "open_time": "2026-06-11T05:39:29Z",
        "latest_expiration_time": "2026-06-26T16:00:00Z",
        "price_ranges": (PriceRange("0.0000", "1.0000", "0.0100"),),
    }
    return RestMarket(**(values | changes))


def define(
    registry: InstrumentRegistry, listed: RestMarket, fees: FeeSchedule, *, ts_recv: int, began: ReadBegan | None = None
) -> tuple[Event, ...]:
    """Define a market as it was read."""
    return registry.define(listed_of(listed, venue="kalshi", fees=fees), ts_recv=ts_recv, began=began)


def instrument(shard: int = 0) -> Instrument:
    return instrument_of(market(exchange_index=shard), venue="kalshi", fees=FEES)


def new_order(**changes: Any) -> NewOrder:
    return support.new_order(**({"instrument": instrument().id} | changes))


def approved(intent: Intent, client_order_id: str = "tg-1") -> Approved:
    return support.approved(intent, client_order_id, venue="kalshi")


def order(**changes: Any) -> Order:
    own = {
        "venue": "kalshi",
        "instrument": instrument().id,
        "venue_order_id": "97ec18b7-10d3-4557-9de0-8598aad625f0",
    }
    return support.order(**(own | changes))
