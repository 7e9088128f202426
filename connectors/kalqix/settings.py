"""The settings of one KalqiX account."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.client import settings as options
from connectors.client.wire.address import RestUrl
from connectors.client.wire.keys import DeclaredRights
from connectors.kalqix.dialect import DialectName

TESTNET = "https://testnet-api.kalqix.com/v1"


class KalqixSettings(BaseModel):
    """Settings of one KalqiX account. Times are milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest_url: RestUrl = Field(TESTNET, description="REST base address with its path; the default is the testnet.")
    dialect: DialectName = Field(
        "a", description="Generation of the protocol: a, wallet signatures (testnet), or b, agents' keys."
    )
    key_id: str = Field(min_length=1, description="The API key. It is not secret.")
    api_secret_path: Path = Field(description="File of the API key's secret, readable by you only.")
    wallet_key_path: Path | None = Field(
        None,
        description="File of the account wallet's private key, 32 bytes as hexadecimal digits; for dialect a.",
    )
    agent_index: int | None = Field(None, ge=0, le=255, description="Index of the signing agent; for dialect b.")
    agent_key_path: Path | None = Field(
        None, description="File of the agent's private key, 32 bytes as hexadecimal digits; for dialect b."
    )
    key_rights: DeclaredRights = ()
    markets: tuple[str, ...] = Field(min_length=1, description='Which markets: "BTC_USDC", or patterns ("*_USDC").')
    requests_per_second: int = Field(1_000, ge=4, description="Requests that it takes of an address in a second.")
    requests_per_minute: int = Field(18_000, ge=120, description="Requests that it takes of a wallet in a minute.")
    markets_max: options.MarketsMax = 20
    markets_interval_ms: options.MarketsIntervalMs = 60_000
    book_interval_ms: options.BookIntervalMs = 500
    trades_interval_ms: options.TradesIntervalMs = 1_000
    orders_interval_ms: options.OrdersIntervalMs = 1_000
    idle_interval_ms: options.IdleIntervalMs = 5_000
    balance_interval_ms: options.BalanceIntervalMs = 5_000
    failing_ms_max: options.FailingMsMax = 10_000
    read_lag_ms: options.ReadLagMs = 2_000
    request_timeout_ms: options.RequestTimeoutMs = 5_000
    connections_max: options.ConnectionsMax = 8
    connects_per_minute_max: options.ConnectsPerMinuteMax = 30
    pages_max: options.PagesMax = 200

    @model_validator(mode="after")
    def _has_its_key(self) -> Self:
        """Each dialect has the key that signs its orders."""
        missing = [name for name in _NEEDED[self.dialect] if getattr(self, name) is None]
        if missing:
            raise ValueError(f'dialect="{self.dialect}" signs orders with {" and ".join(missing)}; set it')
        return self


_NEEDED = {"a": ("wallet_key_path",), "b": ("agent_index", "agent_key_path")}
