"""Which of Kalshi's markets are wanted, and what a lifecycle message changes in what is known of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from connectors.client.instruments import InstrumentRegistry, Selection
from connectors.client.wire.decimals import NS_PER_S
from connectors.kalshi.markets.instruments import series_of
from connectors.kalshi.wire.stream_messages import LifecycleMsg
from framework.domain.events import Event
from framework.domain.instruments import InstrumentStatus

_STATES = frozenset({"activated", "deactivated", "close_date_updated", "determined"})
"""Messages that carry a state of the market by themselves; the others only have it read."""
_MULTIVARIATE = "KXMVE"
_WILDCARD = re.compile(r"[*?\[]")


def select(patterns: Sequence[str]) -> Selection:
    """The markets that exact tickers, ticker patterns (`KXTIDE-*`), series and events name. A ticker begins with its
    series and its event."""
    groups = {
        "series": lambda ticker, name: series_of(ticker) == name,
        "event": lambda ticker, name: ticker.startswith(f"{name}-"),
    }
    return Selection(tuple(patterns), groups)


def may_be_multivariate(pattern: str) -> bool:
    """Whether a pattern may name markets of several legs, whose tickers begin with KXMVE (vendor docs)."""
    start = _WILDCARD.split(pattern.rpartition(":")[2])[0]
    return start.startswith(_MULTIVARIATE) or _MULTIVARIATE.startswith(start)


class LifecycleEffect(msgspec.Struct, frozen=True):
    """What a lifecycle message leads to: events, and whether the market must be read again."""

    events: tuple[Event, ...] = ()
    is_fetch_needed: bool = False


def apply_lifecycle(
    registry: InstrumentRegistry, msg: LifecycleMsg, *, ts_venue: int, ts_recv: int, now_ns: int = 0
) -> LifecycleEffect | None:
    """Apply a lifecycle message that was received at `now_ns` (monotonic). Returns its effect, or None for an
    `event_type` that is not documented. One that is older than the last read has the market read again instead."""
    ticker, kind = msg.market_ticker, msg.event_type
    if kind in _STATES and registry.is_before_read(ticker, ts_venue):
        return LifecycleEffect(is_fetch_needed=True)
    is_known = registry.note_message(ticker, now_ns)
    if kind == "created":
        return LifecycleEffect(is_fetch_needed=registry.wants_new(ticker))
    if not is_known:
        return LifecycleEffect()
    if kind in _STATES:
        status, close_ns = _state(msg)
        event = registry.change(ticker, status, ts_venue=ts_venue, ts_recv=ts_recv, close_ns=close_ns)
        # The calendar may have closed it just before the venue postponed the close.
        is_closed_early = kind == "close_date_updated" and event.status is InstrumentStatus.CLOSED
        return LifecycleEffect((event,), is_fetch_needed=is_closed_early)
    if kind == "settled":
        # What it pays is read, not taken from here: a result can be disputed and amended after it was determined.
        return LifecycleEffect(is_fetch_needed=registry.expect_payment(ticker))
    if kind in ("price_level_structure_updated", "metadata_updated"):
        return LifecycleEffect(is_fetch_needed=kind != "metadata_updated")
    return None


def _state(msg: LifecycleMsg) -> tuple[InstrumentStatus | None, int]:
    """The status (None: as it is) and the close (0: as it is) that a message states."""
    if msg.event_type == "close_date_updated":
        return None, (msg.close_ts or 0) * NS_PER_S
    if msg.event_type == "determined":
        return InstrumentStatus.CLOSED, 0
    is_active = msg.event_type == "activated" and not msg.is_deactivated
    return (InstrumentStatus.ACTIVE if is_active else InstrumentStatus.PAUSED), 0
