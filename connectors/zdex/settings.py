"""Settings of a ZDEX account. Secrets are named as files only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.client import settings as options
from connectors.client.wire.address import RestUrl, StreamUrl, path_of
from connectors.client.wire.keys import DeclaredRights
from connectors.zdex.dialect import DialectName

LEVERAGE_MAX = 125
"""The highest leverage of the venue (vendor docs)."""
Leverage = Annotated[int, Field(ge=1, le=LEVERAGE_MAX)]
MarginType = Literal["CROSSED", "ISOLATED"]
_RATE = r"^0(\.\d{1,8})?$"


class ZdexSettings(BaseModel):
    """Settings of one ZDEX account. Times are milliseconds where the name says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: DialectName = Field(
        default="v1", description="The generation of the API: v1 (api.zdex.world) or v2 (api.zetariumdex.com)."
    )
    rest_url: RestUrl = Field(
        default="https://api.zdex.world/v1",
        description="REST base address with its version: https://api.zdex.world/v1, https://api.zetariumdex.com/v2.",
    )
    ws_url: StreamUrl = Field(default="wss://api.zdex.world/ws", description="WebSocket address with its path.")
    key_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$", description="The API key. It is not secret.")
    secret_path: Path = Field(description="File with the key's secret, readable by you only.")
    session_token_path: Path | None = Field(
        default=None, description="File with a session's token, readable by you only; `tidegate keys` asks with it."
    )
    key_rights: DeclaredRights = ()
    markets: tuple[str, ...] = Field(min_length=1, description='Symbols or patterns of them: "BTCUSDT", "*USDT".')
    markets_max: options.MarketsMax = 20
    markets_interval_ms: options.MarketsIntervalMs = 60_000
    leverage: Leverage | None = Field(
        default=None, description="Leverage to set for each market at the start, 1 to 125; none leaves the account's."
    )
    margin_type: MarginType | None = Field(
        default=None, description="Margin mode to set for each market at the start; none leaves the account's."
    )
    taker_fee: str = Field(default="0.0005", pattern=_RATE, description="Fee of a taker, as a part of the value.")
    maker_fee: str = Field(default="0.0002", pattern=_RATE, description="Fee of a maker, as a part of the value.")
    funding_days: int = Field(
        default=7, ge=1, le=365, description="Funding payments of so many days are read at the start."
    )
    requests_per_window: int = Field(default=1_000, ge=10, description="Requests that the venue takes in a window.")
    orders_per_window: int = Field(default=300, ge=2, description="New orders that the venue takes in a window.")
    window_s: int = Field(default=60, ge=1, description="The length of the venue's windows, in seconds.")
    request_timeout_ms: options.RequestTimeoutMs = 5_000
    connections_max: options.ConnectionsMax = 8
    connect_timeout_ms: options.ConnectTimeoutMs = 10_000
    ack_timeout_ms: options.AckTimeoutMs = 10_000
    snapshot_timeout_ms: options.SnapshotTimeoutMs = 10_000
    silence_ms_max: options.SilenceMsMax = 25_000
    stream_library: options.StreamLibrary = "picows"
    connects_per_minute_max: options.ConnectsPerMinuteMax = 10
    read_lag_ms: options.ReadLagMs = 2_000
    orders_interval_ms: options.OrdersIntervalMs = 1_000
    idle_interval_ms: options.IdleIntervalMs = 5_000
    failing_ms_max: options.FailingMsMax = 10_000
    balance_interval_ms: options.BalanceIntervalMs = 10_000
    pages_max: options.PagesMax = 200

    @model_validator(mode="after")
    def _speaks_the_dialect(self) -> ZdexSettings:
        if not path_of(self.rest_url).endswith(f"/{self.dialect}"):
            raise ValueError(f"dialect={self.dialect}: rest_url={self.rest_url} must end in /{self.dialect}")
        return self
