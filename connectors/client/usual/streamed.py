"""The stream of a connector by its settings: books and trades come by it, the account is polled or streamed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from connectors.client.connector import EventOutlet
from connectors.client.counts import DecodeCounts
from connectors.client.loader import InstrumentParts
from connectors.client.session import FrameRole, SessionPlan, SessionPorts, StreamSession
from connectors.client.status import VenueStatus
from connectors.client.stream import StreamDial, VenueStream, open_stream_transport
from connectors.client.subscriptions import AWAITED, Action, Channel, Encode, Subscriptions
from connectors.client.wire.address import origin_of, path_of
from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S
from connectors.transport.ports import OnMessage
from connectors.transport.reconnect import Backoff
from framework.domain.ports import Clock

_QUIET_NS = 5 * NS_PER_S
"""A book that is proved by its own frames only and had none for so long is asked for, unless a venue says another."""


class StreamSettings(Protocol):
    """The settings of a streamed venue, under the names of `connectors.client.settings`."""

    @property
    def ws_url(self) -> str:
        """WebSocket address with its path."""
        ...

    @property
    def stream_library(self) -> str:
        """Which library carries the stream."""
        ...

    @property
    def connect_timeout_ms(self) -> int:
        """Longest time for an upgrade."""
        ...

    @property
    def ack_timeout_ms(self) -> int:
        """Longest wait for the answer to a subscription."""
        ...

    @property
    def snapshot_timeout_ms(self) -> int:
        """Longest wait for a book."""
        ...

    @property
    def silence_ms_max(self) -> int:
        """After so long without a frame a connection is dead."""
        ...


def open_stream(
    venue: str,
    settings: StreamSettings,
    instruments: InstrumentParts,
    channels: Sequence[Channel],
    encode: Encode,
    make_feed: Callable[[StreamSession], OnMessage],
    roles: Mapping[str, FrameRole],
    *,
    outlet: EventOutlet,
    status: VenueStatus,
    clock: Clock,
    backoff: Backoff,
    proxy: str = "",
    awaited: Collection[Action] = AWAITED,
    quiet_ns: int = _QUIET_NS,
) -> VenueStream:
    """A stream whose books are numbered each by itself, and asked for when they are quiet for `quiet_ns`. No connection
    is opened yet. `make_feed` makes what reads the messages of each new connection, `encode` writes commands, of which
    the venue answers those that are `awaited`, and `roles` are those of `SessionPlan`."""
    s, counts = settings, DecodeCounts()
    dial = StreamDial(
        open_stream_transport(s.stream_library, origin_of(s.ws_url), clock=clock, proxy=proxy),
        path_of(s.ws_url) or "/",
        timeout_ms=s.connect_timeout_ms,
    )
    ack_ns_max, snapshot_ns_max = s.ack_timeout_ms * NS_PER_MS, s.snapshot_timeout_ms * NS_PER_MS
    plan = SessionPlan(ack_ns_max, snapshot_ns_max, roles, has_shared_count=False, quiet_ns=quiet_ns)

    def make(send: Callable[[bytes], None]) -> StreamSession:
        ports = SessionPorts(outlet.publish, status, instruments.refresher.refresh)
        subscriptions = Subscriptions(channels, send, encode, awaited=awaited)
        followed = instruments.registry.followed
        return StreamSession(venue, followed, subscriptions, make_feed, ports=ports, plan=plan, counts=counts)

    return VenueStream(dial.open, make, clock=clock, backoff=backoff, silence_ms_max=s.silence_ms_max)
