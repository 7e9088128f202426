"""The stream of a local BitExAsia, and the whole sandbox as one running server.

A connection says for which pairs it wants books and trades. A book is a snapshot and then its changes, each frame with
a number and the one before it; only the levels within the depth that was asked for are sent. The shapes of commands
and frames are an *assumption*.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import msgspec

from connectors.bitexasia.sandbox.answers import WORD_OF_SIDE
from connectors.bitexasia.sandbox.rest import REST, levels
from connectors.bitexasia.sandbox.venue import DEPTH, NAME, BitExAsiaOptions, BitExAsiaVenue, Key, make_keys
from connectors.sandbox.engine.events import BookChange, Event, TradePrint
from connectors.sandbox.serving.decimals import fixed
from connectors.sandbox.serving.rest import NOT_JSON, Arrival
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.subscriptions import Publication
from connectors.sandbox.serving.websocket import Frame, StreamFace, StreamRules, StreamSession

BOOK, TRADES = "orderbook", "trades"
STREAM_PATH = "/ws/v1"
PAIRS_MAX = 200
FIRST_SEQ = 1_000


class WantedChannel(msgspec.Struct):
    """One channel of a command."""

    name: Literal["orderbook", "trades"]
    pair: str
    depth: int = DEPTH


class StreamCommand(msgspec.Struct):
    """A command of a client."""

    op: Literal["subscribe", "unsubscribe"]
    channels: list[WantedChannel]


class _Shown:
    """A book as one connection has it: its last number, and price -> size of each side."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.seq = FIRST_SEQ
        self.sides: dict[str, dict[str, str]] = {"bid": {}, "ask": {}}


class Talk:
    """The venue's side of one connection."""

    def __init__(self, venue: BitExAsiaVenue, session: StreamSession) -> None:
        self._venue = venue
        self._session = session
        self._books: dict[str, _Shown] = {}
        self._trades: set[str] = set()

    def handle(self, text: str) -> None:
        """Take a command. One that can't be read, and each pair that is not there, is answered with an error."""
        try:
            command = msgspec.json.decode(text, type=StreamCommand)
        except NOT_JSON as error:
            self._refuse("invalid_request", str(error))
            return
        for wanted in command.channels:
            if command.op == "unsubscribe":
                self._books.pop(wanted.pair, None) if wanted.name == BOOK else self._trades.discard(wanted.pair)
            elif wanted.pair not in self._venue.served.exchange.state.markets:
                self._refuse("pair_not_found", f"there is no pair {wanted.pair[:60]}")
            elif wanted.name == TRADES:
                self._trades.add(wanted.pair)
            elif not 1 <= wanted.depth <= self._venue.depth_max:
                self._refuse("depth", f"depth is {wanted.depth}, and this account has {self._venue.depth_max}")
            else:
                self._begin(wanted.pair, wanted.depth)

    def publish(self, publication: Publication) -> None:
        """Send what this connection wants of it."""
        pair = publication.market
        if publication.channel == TRADES and pair in self._trades:
            self._send("trade", TRADES, pair, dict(publication.message), is_numbered=False)
        elif publication.channel == BOOK and pair in self._books:
            self._update(pair)

    def _begin(self, pair: str, depth: int) -> None:
        book = self._books[pair] = _Shown(depth)
        book.sides = self._now(pair, depth)
        sides = {
            name: [list(one) for one in book.sides[side].items()] for name, side in (("bids", "bid"), ("asks", "ask"))
        }
        self._send("snapshot", BOOK, pair, {"seq": book.seq, **sides}, is_numbered=False)

    def _update(self, pair: str) -> None:
        """Send how the book differs from what this connection has. A muted change counts as had: it is lost."""
        book = self._books[pair]
        now, changes = self._now(pair, book.depth), list[list[str]]()
        for side, word in WORD_OF_SIDE.items():
            had, has = book.sides[side], now[side]
            changes += [[word, price, "0"] for price in had if price not in has]
            changes += [[word, price, size] for price, size in has.items() if had.get(price) != size]
        book.sides = now
        if changes and not self._session.is_muted(_target("update", BOOK, pair)):
            book.seq += 1
            fields = {"seq": book.seq, "prev_seq": book.seq - 1, "changes": changes}
            self._send("update", BOOK, pair, fields, is_numbered=True)

    def _now(self, pair: str, depth: int) -> dict[str, dict[str, str]]:
        spec = self._venue.served.exchange.state.markets[pair].spec
        return {side: {at: size for at, size in levels(self._venue, spec, side, depth)} for side in ("bid", "ask")}

    def _send(self, kind: str, channel: str, pair: str, fields: dict[str, Any], *, is_numbered: bool) -> None:
        target = _target(kind, channel, pair)
        if is_numbered or not self._session.is_muted(target):
            clock = self._venue.served.clock
            message = {"type": kind, "channel": channel, "pair": pair, "ts": clock.ms(clock.engine_ns())} | fields
            self._session.offer(Frame(message, target, owner=self, is_data=True, is_numbered=is_numbered))

    def _refuse(self, code: str, message: str) -> None:
        self._session.offer(Frame({"type": "error", "code": code, "message": message}, {"type": "error"}))


def publications(venue: BitExAsiaVenue, events: list[Event]) -> Iterator[Publication]:
    """Each trade, and each book that has changed, once for a batch of events."""
    changed: dict[str, None] = {}
    for event in events:
        if isinstance(event, BookChange):
            changed[event.market_id] = None
        elif isinstance(event, TradePrint):
            spec = venue.served.exchange.state.markets[event.market_id].spec
            fields = {
                "trade_id": event.trade_id, "price": fixed(event.price, spec.price_decimals),
                "size": fixed(event.size, spec.size_decimals), "taker_side": WORD_OF_SIDE[event.taker_side],
            }  # fmt: skip
            yield Publication(TRADES, "trade", fields, event.market_id)
    for pair in changed:
        yield Publication(BOOK, "update", {}, pair)


def bitexasia(
    options: BitExAsiaOptions, *, now_ns: Callable[[], int] = time.time_ns
) -> SandboxServer[BitExAsiaVenue, Talk]:
    """The whole venue with its keys. Raises `ValueError` for a depth that no account has."""
    if options.depth not in (DEPTH, 10 * DEPTH):
        raise ValueError(f"--depth: {options.depth}: give 100, or 1000 for a verified account")
    keys: dict[str, Key] = {}

    def admit(venue: BitExAsiaVenue, _arrival: Arrival) -> Callable[[StreamSession], Talk]:
        return partial(Talk, venue)

    stream = StreamFace(StreamRules(STREAM_PATH, heartbeat=b"", heartbeat_s=15.0, gap_type="update"), admit)
    fresh = partial(BitExAsiaVenue, options, keys, now_ns)
    design = Design(NAME, fresh, lambda folder: make_keys(folder, keys), REST, stream, publications)
    return SandboxServer(design, options, now_ns=now_ns)


def _target(kind: str, channel: str, pair: str) -> dict[str, str]:
    return {"type": kind, "channel": channel, "market": pair}
