"""Whether a venue counts as connected: every part that brings something of it is up. Pure but for what it publishes."""

from __future__ import annotations

from collections.abc import Sequence

from framework.domain.market_events import ConnectorStatus
from framework.domain.venue import Publish

STREAM = "stream"
"""The part that a WebSocket stream reports."""

POLL = "poll"
"""The part that polled reads report."""


class VenueStatus:
    """Joins what the parts of a connector report to the one `ConnectorStatus` of the venue."""

    def __init__(self, venue: str, publish: Publish, parts: Sequence[str] = (STREAM,)) -> None:
        self._venue = venue
        self._publish = publish
        self._down = dict.fromkeys(parts, "not connected yet")

    def __repr__(self) -> str:
        return f"<VenueStatus {self._venue} down={self._down}>"

    def report(self, part: str, *, is_up: bool, reason: str, ts_recv: int) -> None:
        """Take a part's report. Down is published with every report of it, up once no other part is down: each report
        of up then has the account compared, so a part repeats it when something of ours may have been missed."""
        if is_up:
            self._down.pop(part, None)
        else:
            self._down[part] = reason
        if not (is_up and self._down):
            self._publish(ConnectorStatus(self._venue, is_up, reason, ts_recv))
