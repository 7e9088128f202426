"""One stream connection as Kalshi holds it: commands of the client, publications to its subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from connectors.kalshi.sandbox.rest.server import address_refused, signing_key
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


Shown = Callable[[Venue, dict[str, Any]], dict[str, Any]]
"""A frame as a generation of the API writes it."""


class Conversation:
    """The commands and subscriptions of one connection, which may see the accounts of `seen`."""

    def __init__(self, session: StreamSession, venue: Venue, seen: Seen, shown: Shown) -> None:
        self._session = session
        self._shown = partial(shown, venue)
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
        message = self._shown(message)
        if subscription is None:
            self._session.offer(Frame(message))
            return
        market = message["msg"].get("market_ticker") or message["msg"].get("ticker", "")
        if not self._session.offer(data_frame(message, subscription, kind=message["type"], market=market)):
            self.commands.end(subscription)


def stream_face(
    heartbeat_s: float, queue_frames_max: int, *, shown: Shown, is_stamped: bool
) -> StreamFace[Venue, Conversation]:
    """The stream as the frame serves it: signed like REST; `is_stamped` frames carry the time of sending."""
    stamp = _stamp if is_stamped else None
    rules = StreamRules(STREAM_PATH, HEARTBEAT, heartbeat_s, queue_frames_max, stamp, "orderbook_delta")
    return StreamFace(rules, partial(_admit, shown))


def _admit(shown: Shown, venue: Venue, arrival: Arrival) -> Callable[[StreamSession], Conversation]:
    if venue.faults.take("ip_refused", path=arrival.path, method=arrival.method) is not None:
        raise address_refused()
    key = signing_key(venue, arrival)
    seen = None if key.subaccount is None else frozenset({venue.account_id(key.subaccount)})
    return lambda session: Conversation(session, venue, seen, shown)


def _stamp(frame: dict[str, Any], clock: VenueClock) -> None:
    frame["sending_ts_ms"] = clock.ms(clock.engine_ns())
