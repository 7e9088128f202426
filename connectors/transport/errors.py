"""What can go wrong between this process and a venue's socket.

    TransportError
    ├── NotSent            no byte of the request left this process
    ├── OutcomeUnknown     a byte may have left, and no complete response was read
    └── HandshakeRefused   the venue replied to a WebSocket upgrade with something else

Orders depend on the difference between the first two. After `NotSent` the same order may be tried again at once.
After `OutcomeUnknown` the venue may hold the order: its exposure stays reserved until the venue shows otherwise.
"""

from __future__ import annotations


class TransportError(Exception):
    """A request or a connection attempt ended without a complete response."""


class NotSent(TransportError):
    """No byte of the request left: refused, no such host, TLS not established, closed, or no connection in time.

    Sending the same request again cannot double it.
    """


class OutcomeUnknown(TransportError):
    """At least one byte may have left, and no complete response was read.

    Raised for a time-out, a reset, a response cut short, a malformed response and a response over its size limit.
    Never send again under a new id; ask the venue what became of the request.
    """


class HandshakeRefused(TransportError):
    """The venue replied to the WebSocket upgrade with anything but a valid 101."""

    def __init__(self, status: int, body: bytes) -> None:
        """Keep `status` (HTTP status; 101 when only the upgrade headers were wrong) and `body` (may be cut short)."""
        super().__init__(
            f"WebSocket upgrade refused: status={status} body={body[:200]!r}; check credentials, target and clock"
        )
        self.status = status
        self.body = body
