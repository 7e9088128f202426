"""The channels of the stream, and a connection's subscription to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Filter = Literal["required", "optional", "none"]


@dataclass(frozen=True)
class ChannelRule:
    """Whether a channel's frames carry `seq`, and whether it may, must or cannot be narrowed to markets."""

    sequenced: bool
    filter: Filter


# Vendor docs. The last five can be subscribed to and stay silent: the sandbox does not simulate what they carry.
CHANNELS = {
    "orderbook_delta": ChannelRule(True, "required"),
    "ticker": ChannelRule(False, "optional"),
    "trade": ChannelRule(True, "optional"),
    "fill": ChannelRule(False, "optional"),
    "user_orders": ChannelRule(False, "optional"),
    "market_positions": ChannelRule(False, "optional"),
    "market_lifecycle_v2": ChannelRule(True, "none"),
    "multivariate_market_lifecycle": ChannelRule(True, "none"),
    "order_group_updates": ChannelRule(True, "none"),
    "communications": ChannelRule(True, "none"),
    "cfbenchmarks_value": ChannelRule(True, "none"),
    "cfbenchmarks_value_5hz": ChannelRule(True, "none"),
    "pyth_value": ChannelRule(True, "none"),
}


@dataclass
class Subscription:
    """One channel of one connection. `markets` is None when all are wanted; `seq` is the last number used."""

    sid: int
    channel: str
    markets: list[str] | None
    use_yes_price: bool = False
    skip_ack: bool = False
    seq: int = 0

    @property
    def sequenced(self) -> bool:
        """True when the frames of this channel carry `seq`."""
        return CHANNELS[self.channel].sequenced

    def wants(self, ticker: str) -> bool:
        """True when an event of market `ticker` belongs on this subscription."""
        return self.markets is None or ticker in self.markets

    def numbered(self) -> dict[str, int]:
        """The members `sid` and, on a sequenced channel, the next `seq`, which is used up by the call."""
        if not self.sequenced:
            return {"sid": self.sid}
        self.seq += 1
        return {"sid": self.sid, "seq": self.seq}
