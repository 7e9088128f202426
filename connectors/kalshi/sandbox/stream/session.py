"""One stream connection as Kalshi holds it: commands of the client, publications to its subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.kalshi.sandbox.rest.call import signing_key
from connectors.kalshi.sandbox.stream.channels import Publication
from connectors.kalshi.sandbox.stream.commands import CommandHandler
from connectors.kalshi.sandbox.stream.subscriptions import Subscription
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.serving.clock import VenueClock
from connectors.sandbox.serving.rest import Arrival
from connectors.sandbox.serving.websocket import Frame, StreamFace, StreamRules, StreamSession

# The venue pings about every 10 s with this payload (vendor docs).
HEARTBEAT = b"heartbeat"
HEARTBEAT_S = 10.0
# The error code of a subscription that ends because the queue is full (vendor docs).
OVERFLOW = 25
STREAM_PATH = "/trade-api/ws/v2"
# Frames that answer a command are never lost or doubled by a fault; silence and cuts take them all.
DATA_FRAMES = frozenset(
    {"orderbook_snapshot", "orderbook_delta", "ticker", "trade", "fill", "user_order", "market_position"}
    | {"market_lifecycle_v2", "event_lifecycle", "order_group_updates"}
)


class Conversation:
    """The commands and subscriptions of one connection. `accounts` are the ids of those it may see; None means all."""

    def __init__(self, session: StreamSession, venue: Venue, accounts: frozenset[str] | None) -> None:
        self._session = session
        self._accounts = accounts
        self.commands = CommandHandler(venue.markets, self._offer)
        self.handle = self.commands.handle

    def publish(self, publication: Publication) -> None:
        """Queue a publication, numbered, for every subscription of this connection that it reaches."""
        for subscription in list(self.commands.subscriptions.values()):
            if publication.reaches(subscription, self._accounts):
                message = publication.message_for(subscription, self._accounts)
                frame: dict[str, Any] = {"type": publication.kind}
                if not self._session.is_muted(_target(frame | {"msg": message}, subscription)):
                    self._offer(frame | subscription.numbered() | {"msg": message}, subscription)

    def _offer(self, message: dict[str, Any], subscription: Subscription | None) -> None:
        """Queue one frame; the subscription of one that finds the queue full ends (vendor docs)."""
        target, is_data = _target(message, subscription), message["type"] in DATA_FRAMES
        frame = Frame(message, target, owner=subscription, is_data=is_data, is_numbered="seq" in message)
        if not self._session.offer(frame) and subscription is not None:
            self.commands.end(subscription, OVERFLOW)


def stream_face(heartbeat_s: float, queue_frames_max: int) -> StreamFace[Venue, Conversation]:
    """The stream as the frame serves it: signed like REST, each frame stamped with the time of sending."""
    rules = StreamRules(STREAM_PATH, HEARTBEAT, heartbeat_s, queue_frames_max, _stamp, "orderbook_delta")
    return StreamFace(rules, _admit)


def _admit(venue: Venue, arrival: Arrival) -> Callable[[StreamSession], Conversation]:
    key = signing_key(venue, arrival)
    accounts = None if key.subaccount is None else frozenset({venue.account(key.subaccount).account_id})
    return lambda session: Conversation(session, venue, accounts)


def _stamp(frame: dict[str, Any], clock: VenueClock) -> None:
    frame["sending_ts_ms"] = clock.ms(clock.engine_ns())


def _target(frame: dict[str, Any], subscription: Subscription | None) -> dict[str, str]:
    """What a fault's patterns may match of a frame: its type, channel and market; "" where it has none."""
    message = frame.get("msg")
    market = message.get("market_ticker") or message.get("ticker") if isinstance(message, dict) else None
    channel = subscription.channel if subscription is not None else ""
    return {"type": frame["type"], "channel": channel, "market": market or ""}
