"""A stream session with its callbacks recorded: tests feed frames and look at what comes out."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.client.counts import DecodeCounts
from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import SessionPlan, SessionPorts
from connectors.client.status import VenueStatus
from connectors.client.venue_time import VenueTime
from connectors.kalshi.markets.lifecycle import select
from connectors.kalshi.stream.commands import BOOK, FILL, GROUPS, LIFECYCLE, ORDERS, TRADE
from connectors.kalshi.stream.feed import ROLES, FeedPorts, make_session
from framework.domain.events import Event
from framework.runtime.clock import ManualClock
from tests.connectors.kalshi.support import FEES, TICKER, define, market
from tests.connectors.support import START_NS

OTHER = "KXTIDE-26NOV21-T192"
SECOND = 1_000_000_000
CHANNELS = (FILL, ORDERS, LIFECYCLE, GROUPS, BOOK, TRADE)
SIDS = {channel: number for number, channel in enumerate(CHANNELS, 1)}


class Rig:
    """A session with its surroundings: what it published, sent and asked for."""

    def __init__(self, *tickers: str, subaccount: int | None = None) -> None:
        self.registry = InstrumentRegistry("kalshi", select(["series:KXTIDE"]), followed_max=10)
        for ticker in tickers:
            define(self.registry, market(ticker), FEES, ts_recv=1)
        self.registry.follow(tickers)
        self.events: list[Event] = []
        self.commands: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self.refreshes = 0
        self.counts = DecodeCounts()
        self.clock = ManualClock(wall_ns=START_NS, monotonic_ns=SECOND)
        self.seq: dict[int, int] = {}
        self.session = make_session(
            self._sent,
            FeedPorts("kalshi", self.registry, self.fetched.append, VenueTime(self.clock), subaccount),
            SessionPorts(self._published, VenueStatus("kalshi", self._published), self._refreshed),
            plan=SessionPlan(ack_ns_max=10 * SECOND, snapshot_ns_max=5 * SECOND, roles=ROLES),
            counts=self.counts,
            channels=CHANNELS,
        )
        self.session.open(ts_recv=START_NS, now_ns=self.clock.monotonic_ns())

    def _published(self, event: Event, now_ns: int = 0, monotonic_ns: int = 0, /) -> None:
        self.events.append(event)

    def _sent(self, data: bytes) -> None:
        self.commands.append(msgspec.json.decode(data))

    def _refreshed(self) -> None:
        self.refreshes += 1

    def receive(self, frame: dict[str, Any] | bytes) -> None:
        data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        self.session.receive(data, ts_recv=self.clock.now_ns(), now_ns=self.clock.monotonic_ns())

    def acknowledge_all(self) -> None:
        for command in list(self.commands):
            (channel,) = command["params"]["channels"]
            message = {"channel": channel, "sid": SIDS[channel]}
            self.receive({"type": "subscribed", "id": command["id"], "msg": message})

    def numbered(self, kind: str, channel: str, msg: dict[str, Any], *, skip: int = 0, **more: Any) -> None:
        sid = SIDS[channel]
        self.seq[sid] = self.seq.get(sid, 0) + 1 + skip
        self.receive({"type": kind, "sid": sid, "seq": self.seq[sid], "msg": msg} | more)

    def snapshot(self, ticker: str = TICKER) -> None:
        levels = {"yes_dollars_fp": [["0.4700", "3.00"]], "no_dollars_fp": [["0.5200", "2.00"]]}
        self.numbered("orderbook_snapshot", BOOK, {"market_ticker": ticker} | levels)

    def delta(self, ticker: str = TICKER, *, skip: int = 0, **changes: Any) -> None:
        msg = {"market_ticker": ticker, "price_dollars": "0.4700", "delta_fp": "1.00", "side": "yes", "ts_ms": 5}
        self.numbered("orderbook_delta", BOOK, msg | changes, skip=skip)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(round(seconds * SECOND))
        self.session.tick(ts_recv=self.clock.now_ns(), now_ns=self.clock.monotonic_ns())

    def take(self, *kinds: type) -> list[Event]:
        taken = [event for event in self.events if isinstance(event, kinds)]
        self.events.clear()
        return taken

    def last_commands(self) -> list[tuple[str, dict[str, Any]]]:
        taken = [(command["cmd"], command["params"]) for command in self.commands]
        self.commands.clear()
        return taken
