"""One stream connection as Kalshi holds it: commands of the client, publications to its subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.kalshi.sandbox.rest.server import signing_key
from connectors.kalshi.sandbox.stream.commands import CommandHandler, numbered
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.serving.clock import VenueClock
from connectors.sandbox.serving.rest import Arrival
from connectors.sandbox.serving.subscriptions import Publication, Seen, Subscription, data_frame
from connectors.sandbox.serving.websocket import Frame, StreamFace, StreamRules, StreamSession

# The venue pings about every 10 s with this payload (vendor docs).
HEARTBEAT = b"heartbeat"
HEARTBEAT_S = 10.0
STREAM_PATH = "/trade-api/ws/v2"


class Conversation:
    """The commands and subscriptions of one connection, which may see the accounts of `seen`."""

    def __init__(self, session: StreamSession, venue: Venue, seen: Seen) -> None:
        self._session = session
        self._seen = seen
        self.commands = CommandHandler(venue.markets, self._offer)
        self.handle = self.commands.handle

    def publish(self, publication: Publication) -> None:
        """Queue a publication, numbered, for every subscription of this connection that it reaches."""
        subscriptions = self.commands.subscriptions.values()
        for subscription in publication.audience(subscriptions, self._seen, session=self._session):
            frame = {"type": publication.kind} | numbered(subscription)
            self._offer(frame | {"msg": publication.message_for(subscription, self._seen)}, subscription)

    def _offer(self, message: dict[str, Any], subscription: Subscription | None) -> None:
        """Queue an answer, or data of a subscription, which ends when its frame finds the queue full (vendor docs)."""
        if subscription is None:
            self._session.offer(Frame(message))
            return
        market = message["msg"].get("market_ticker") or message["msg"].get("ticker", "")
        if not self._session.offer(data_frame(message, subscription, kind=message["type"], market=market)):
            self.commands.end(subscription)


def stream_face(heartbeat_s: float, queue_frames_max: int) -> StreamFace[Venue, Conversation]:
    """The stream as the frame serves it: signed like REST, each frame stamped with the time of sending."""
    rules = StreamRules(STREAM_PATH, HEARTBEAT, heartbeat_s, queue_frames_max, _stamp, "orderbook_delta")
    return StreamFace(rules, _admit)


def _admit(venue: Venue, arrival: Arrival) -> Callable[[StreamSession], Conversation]:
    key = signing_key(venue, arrival)
    seen = None if key.subaccount is None else frozenset({venue.account_id(key.subaccount)})
    return lambda session: Conversation(session, venue, seen)


def _stamp(frame: dict[str, Any], clock: VenueClock) -> None:
    frame["sending_ts_ms"] = clock.ms(clock.engine_ns())
