"""Settings of a Kalshi account, and what is assumed of the venue under them. Secrets are named as files only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.client import settings as options
from connectors.client.wire.address import RestUrl, StreamUrl, is_loopback, origin_of, path_of

Tier = Literal["basic", "advanced", "expert", "premier", "paragon", "prime", "prestige"]
DialectName = Literal["current", "v1"]
SelfTradePrevention = Literal["taker_at_cross", "maker"]

_V1_TIERS = ("basic", "advanced", "premier", "prime")


class KalshiSettings(BaseModel):
    """Settings of one Kalshi account. Times are milliseconds; every limit is at least 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest_url: RestUrl = Field(
        default="https://external-api.demo.kalshi.co/trade-api/v2",
        description="REST base address with its path, for example https://external-api.demo.kalshi.co/trade-api/v2.",
    )
    ws_url: StreamUrl = Field(
        default="wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
        description="WebSocket address with its path.",
    )
    key_id: str = Field(min_length=1, description="Id of the API key, a UUID. It is not secret.")
    private_key_path: Path = Field(description="PEM file of the private key (RSA or Ed25519), readable by you only.")
    dialect: DialectName = Field(
        default="current",
        description="Generation of the API by which orders are written. Production answers those of v1 with 410.",
    )
    markets: tuple[str, ...] = Field(
        min_length=1,
        description='Which markets: ticker patterns ("KXTIDE-*"), "series:KXTIDE" or "event:KXTIDE-26NOV21".',
    )
    markets_max: options.MarketsMax = 50
    markets_interval_ms: options.MarketsIntervalMs = 60_000
    tier: Tier = Field(default="basic", description="Rate limits assumed until the venue has declared the account's.")
    subaccount: int | None = Field(
        default=None,
        ge=0,
        le=63,
        description="Subaccount number; none means primary. A key that is locked to one needs its number here.",
    )
    use_shards: bool = Field(
        default=True,
        description="Name the market's shard in every write. Without it a write is billed to every shard's limit.",
    )
    self_trade_prevention: SelfTradePrevention = Field(
        default="taker_at_cross",
        description="When an order would meet an own one: cancel the new one, or the resting one (maker).",
    )
    subscribe_ticker: bool = Field(default=False, description="Also stream the ticker channel (quotes, volume).")
    request_timeout_ms: options.RequestTimeoutMs = 5_000
    connections_max: options.ConnectionsMax = 8
    connect_timeout_ms: options.ConnectTimeoutMs = 10_000
    ack_timeout_ms: options.AckTimeoutMs = 10_000
    snapshot_timeout_ms: options.SnapshotTimeoutMs = 5_000
    silence_ms_max: options.SilenceMsMax = 25_000
    stream_library: options.StreamLibrary = "picows"
    connects_per_minute_max: options.ConnectsPerMinuteMax = 10
    read_lag_ms: options.ReadLagMs = 2_000
    balance_interval_ms: options.BalanceIntervalMs = 60_000
    pages_max: options.PagesMax = 200

    @model_validator(mode="after")
    def _tier_is_of_the_dialect(self) -> KalshiSettings:
        if self.dialect == "v1" and self.tier not in _V1_TIERS:
            raise ValueError(f"tier: {self.tier!r}: dialect v1 has no such tier; use one of {', '.join(_V1_TIERS)}")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether the hosts of `rest_url` and `ws_url` are both loopback."""
        return is_loopback(self.rest_url) and is_loopback(self.ws_url)

    @property
    def own_subaccount(self) -> int:
        """Number of the subaccount whose orders, fills and positions are ours; 0 is the primary one.

        Every read names it: without a number, lists of orders and fills are of all subaccounts, positions and balance
        of the primary one (vendor docs).
        """
        return self.subaccount or 0

    @property
    def rest_origin(self) -> str:
        """Scheme, host and port of the REST address."""
        return origin_of(self.rest_url)

    @property
    def rest_prefix(self) -> str:
        """Path that every REST target starts with and that signatures cover: "/trade-api/v2"."""
        return path_of(self.rest_url) or "/trade-api/v2"

    @property
    def ws_origin(self) -> str:
        """Scheme, host and port of the WebSocket address."""
        return origin_of(self.ws_url)

    @property
    def ws_target(self) -> str:
        """Path of the WebSocket upgrade, signed as it is: "/trade-api/ws/v2"."""
        return path_of(self.ws_url) or "/trade-api/ws/v2"


ASSUMPTIONS = (
    "No fact has been checked against the live service; the newest vendor specification read is of October 2026.",
    "A second subscription to a channel on one connection is answered like the first (undocumented).",
    "A partly filled immediate-or-cancel order ends as canceled, a fully filled one as executed.",
    "A 4xx with the venue's own error code (but 408), and every 429, mean that nothing of a write was done.",
    "Responses without the venue's own error code (a proxy's 4xx), 408 and 5xx prove nothing: the order stays unknown.",
    "A 403 is about one request, unless public reads are forbidden, too: then it is about the address that asks.",
    "order_already_exists means an order of this account under our id; an id is never given free (recorded).",
    "trading_is_paused and exchange_is_paused mean that nothing of the request was kept.",
    "Timestamps within 5 s of the venue's clock are accepted and those 30 s behind it refused (both recorded).",
    "Reads may lag behind writes by less than read_lag_ms (0.36 s was recorded).",
    "A fill's trade_id, price, count and fee are the same on the stream and in reads; trade_id is unique per account.",
    "reduced_by in the response to a cancel is what was left of the order then: another number than ours shows a fill.",
    "The counts in the response to an amend are not used: whether they are of the order or of the request is unknown.",
    "After an amend or a decrease, filled plus remaining is the order's total; initial_count may be the old one.",
    "Writes that name a shard above 0 are billed to that shard; they are counted against one common limit here.",
    "Events that /events does not list (multivariate ones) have no fee override.",
    "The fee table of type flat is not published: the dearest known formula is used to estimate it.",
    "Lists of orders and fills that name no subaccount are of all, positions of the primary one (vendor docs).",
    "Of orders that ended long ago (two weeks) a look-up finds nothing; resting ones are always listed.",
    "min_ts of a list of orders is compared with their creation; a day before ours is asked for at most.",
    "What a settled market pays is what a read of it states once it is finalized; determined results may be amended.",
    "Resting orders of a market end at its close_time; no message announces the close itself.",
    "How many stream connections an account may have is not documented; one is used.",
    "The response to get_snapshot takes the next number of its subscription (vendor docs): it proves quiet books.",
    "A stream that neither sends nor pings for 25 s is dead; the venue pings about every 10 s (recorded).",
)
"""What this connector assumes or knows only from recordings, shown before live use; each sentence stands alone."""
