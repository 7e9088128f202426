"""Settings that every venue's account has, with what they mean and their limits. A venue gives the default.

request_timeout_ms: RequestTimeoutMs = 5_000
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

RequestTimeoutMs = Annotated[int, Field(ge=1, description="Longest time for one request, waits included.")]
ConnectionsMax = Annotated[int, Field(ge=1, le=64, description="Most HTTP connections kept open at once.")]
ConnectTimeoutMs = Annotated[int, Field(ge=1, description="Longest time for a WebSocket upgrade.")]
AckTimeoutMs = Annotated[int, Field(ge=1, description="Longest wait for the answer to a subscription.")]
SnapshotTimeoutMs = Annotated[
    int,
    Field(ge=1, description="Longest wait for a book after a gap before the channel is subscribed anew."),
]
SilenceMsMax = Annotated[
    int, Field(ge=1_000, description="A stream without a frame or ping for this long is dead: reconnect.")
]
ConnectsPerMinuteMax = Annotated[
    int, Field(ge=1, description="Most connection attempts in any minute, of the stream and of REST each.")
]
ReadLagMs = Annotated[
    int, Field(ge=0, description="How long reads may lag behind writes before their silence proves anything.")
]
BalanceIntervalMs = Annotated[int, Field(ge=2_000, description="How often the account's cash is read.")]
MarketsIntervalMs = Annotated[
    int,
    Field(
        ge=1_000,
        description="How often the known markets are read and new ones looked for, whatever the stream says of them.",
    ),
]
MarketsMax = Annotated[int, Field(ge=1, le=2000, description="The most markets to follow; start fails above.")]
PagesMax = Annotated[int, Field(ge=1, description="Most pages read of one list; a longer list is an error.")]
StreamLibrary = Annotated[
    Literal["picows", "websockets"],
    Field(description="Which library carries the WebSocket stream: picows, the faster one, or websockets."),
]

# Of venues without a stream (`polling/`).
BookIntervalMs = Annotated[int, Field(ge=20, description="How often each market's book is read.")]
TradesIntervalMs = Annotated[
    int, Field(ge=0, description="How often each market's public trades are read; 0 leaves them out.")
]
OrdersIntervalMs = Annotated[
    int, Field(ge=20, description="How often own orders and fills are read while orders are open.")
]
IdleIntervalMs = Annotated[
    int, Field(ge=20, description="How often own orders and fills are read while no order is open.")
]
FailingMsMax = Annotated[
    int, Field(ge=1_000, description="A venue whose reads have failed for this long counts as down.")
]
