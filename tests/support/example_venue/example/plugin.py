"""What the daemon loads of Example: its settings, its factory and its sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connectors.client import settings as options
from connectors.client.request_clock import RequestClock
from connectors.client.secret_file import read_secret_text
from connectors.client.usual.connector import usual_connector
from connectors.client.wire.address import RestUrl
from connectors.client.wire.hmac_sign import HmacKey
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector

from .wire import example, signing

SANDBOX = "example.sandbox"


class Settings(BaseModel):
    """Settings of one Example account. Times are milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest_url: RestUrl = Field("https://api.example/api/v1", description="REST base address with its path.")
    key_id: str = Field(min_length=1, description="Id of the API key. It is not secret.")
    secret_path: Path = Field(description="File of the key's secret, readable by you only.")
    markets: tuple[str, ...] = Field(min_length=1, description='Which markets: "BTC-USD", or patterns ("*-USD").')
    limit: int = Field(200, ge=20, description="Requests that the key may send in ten seconds.")
    markets_max: options.MarketsMax = 20
    markets_interval_ms: options.MarketsIntervalMs = 60_000
    book_interval_ms: options.BookIntervalMs = 500
    trades_interval_ms: options.TradesIntervalMs = 1_000
    orders_interval_ms: options.OrdersIntervalMs = 1_000
    idle_interval_ms: options.IdleIntervalMs = 5_000
    balance_interval_ms: options.BalanceIntervalMs = 10_000
    failing_ms_max: options.FailingMsMax = 10_000
    read_lag_ms: options.ReadLagMs = 1_000
    request_timeout_ms: options.RequestTimeoutMs = 5_000
    connections_max: options.ConnectionsMax = 4
    connects_per_minute_max: options.ConnectsPerMinuteMax = 30
    pages_max: options.PagesMax = 100


def create(
    name: str, settings: Settings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> Connector:
    """The connector of one account. Raises `ConfigurationError` when the secret can't be used."""
    secret = HmacKey(read_secret_text(settings.secret_path, "secret_path").encode())
    return usual_connector(
        example(settings.limit), name, settings, lambda time: signing(settings.key_id, secret, RequestClock(time)),
        clock=clock, rng=rng, proxy=proxy, turn=turn,
    )  # fmt: skip


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings for a sandbox that has printed its ready line."""
    return {"rest_url": ready["rest_url"], "key_id": ready["trader_id"], "secret_path": ready["trader_secret_path"]}
