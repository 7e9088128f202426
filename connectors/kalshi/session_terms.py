"""What one connection's session is given, and how it says that it is over. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from framework.domain.events import Event


class StreamBroken(Exception):
    """The connection is of no use any more; connect again. The text is the reason that is shown."""


class SessionDesk(msgspec.Struct, frozen=True):
    """Where a session's results go. `fetch` asks for a market to be read, `refresh` for all of them."""

    publish: Callable[[Event], None]
    send: Callable[[bytes], None]
    fetch: Callable[[str], None]
    refresh: Callable[[], None]


class SessionTerms(msgspec.Struct, frozen=True):
    """What to subscribe, and the longest waits in nanoseconds."""

    channels: tuple[str, ...]
    ack_ns_max: int
    snapshot_ns_max: int
    subaccount: int | None = None
