"""Settings of a BitExAsia account. Secrets are named as files only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.bitexasia.dialect import PARTS, Part
from connectors.client import settings as options
from connectors.client.wire.address import RestUrl, StreamUrl, is_loopback
from connectors.client.wire.keys import DeclaredRights

Rate = Annotated[str, Field(pattern=r"^0(\.[0-9]{1,6})?$")]
"""A part of an order's value as a decimal text from 0 to below 1."""


class BitExAsiaSettings(BaseModel):
    """Settings of one BitExAsia account. Times are milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest_url: RestUrl = Field(
        description="REST base address with its path: https://api.bitexasia.com/v1, or the one that the venue gave you "
        "for its sandbox, which it does not document.",
    )
    ws_url: StreamUrl = Field(
        description="Address of the WebSocket stream. The venue advertises one and does not document where: ask it.",
    )
    key_id: str = Field(min_length=1, description="The API key as sent in X-Api-Key. It is not secret.")
    secret_path: Path = Field(description="File of the key's secret, readable by you only.")
    markets: tuple[str, ...] = Field(min_length=1, description='Which pairs: "BTC-USD", or patterns ("*-USD").')
    markets_max: options.MarketsMax = 20
    markets_interval_ms: options.MarketsIntervalMs = 15_000
    limit: int = Field(
        1_200, ge=20, description="Weighted requests a minute that the key may send: 1,200, more in higher tiers."
    )
    depth: int = Field(
        100, ge=1, le=1_000, description="Levels of a book: 100, up to 1,000 for accounts that are verified."
    )
    drift_ms: int = Field(
        30_000,
        ge=100,
        description="The clock tolerance that you chose for the key. Nothing is signed while the venue's time is known "
        "less exactly than this.",
    )
    optional_fields: bool = Field(
        False,
        description="Send time_in_force and post_only, which the venue does not document. Without them every limit "
        "order is good till cancelled and may take.",
    )
    taker_fee: Rate = Field("0.002", description="The fee of a taker as a part of the value; the venue lists none.")
    maker_fee: Rate = Field("0.001", description="The fee of a maker as a part of the value; the venue lists none.")
    key_rights: DeclaredRights = ()
    sign_parts: tuple[Part, ...] = Field(
        PARTS, min_length=3, description="The inputs of the signature in their order; assumed, and yours to correct."
    )
    sign_separator: str = Field("\n", max_length=1, description="What joins the inputs: a line break, or nothing.")
    sign_encoding: Literal["hex", "base64"] = Field("hex", description="How the signature is written.")
    key_encoding: Literal["text", "hex", "base64"] = Field("text", description="How the secret keys the HMAC.")
    request_timeout_ms: options.RequestTimeoutMs = 1_200
    resend_ms_max: int = Field(
        2_000,
        ge=0,
        description="A new order whose answer is lost is sent again, once and under the same id, until so long after "
        "its approval. One that the venue makes later is cancelled. 0: never.",
    )
    connections_max: options.ConnectionsMax = 8
    connect_timeout_ms: options.ConnectTimeoutMs = 10_000
    snapshot_timeout_ms: options.SnapshotTimeoutMs = 5_000
    silence_ms_max: options.SilenceMsMax = 40_000
    stream_library: options.StreamLibrary = "picows"
    connects_per_minute_max: options.ConnectsPerMinuteMax = 10
    read_lag_ms: options.ReadLagMs = 2_000
    balance_interval_ms: options.BalanceIntervalMs = 10_000

    @property
    def pages_max(self) -> int:
        """Most pages of one list: no list of this venue has pages."""
        return 1

    @property
    def ack_timeout_ms(self) -> int:
        """Longest wait for the answer to a command: none is answered, so nothing waits for one."""
        return self.snapshot_timeout_ms

    @property
    def is_loopback(self) -> bool:
        """Whether the hosts of `rest_url` and `ws_url` are both on this machine."""
        return is_loopback(self.rest_url) and is_loopback(self.ws_url)
