"""What BitExAsia's client and sandbox read: frames, orders, pairs, balances, refusals; bodies and commands."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from aiohttp import web

from connectors.bitexasia.dialect import DIALECT
from connectors.bitexasia.sandbox.rest import ROWS
from connectors.bitexasia.sandbox.server import Talk, bitexasia
from connectors.bitexasia.sandbox.venue import BitExAsiaOptions, BitExAsiaVenue
from connectors.bitexasia.wire.messages import (
    Balances,
    MarketRow,
    balances_of,
    decode_order,
    instrument_of,
    order_of,
)
from connectors.client.session import StreamBroken
from connectors.client.wire.json_text import decode_json
from connectors.sandbox.serving.rest import Arrival, Refusal
from connectors.sandbox.serving.websocket import StreamSession
from framework.domain.instruments import FeeSchedule
from tests.connectors.bitexasia import test_feed as feed
from tests.connectors.bitexasia.wire import test_messages as rows
from tests.proofs.fuzz.target import Target

_NOT_READ = (msgspec.DecodeError, ValueError)
_RIG_INPUTS = 500
_NOW_NS = 1_781_159_360_000_000_000
_MARKETS = [
    msgspec.json.encode([{"pair": "BTC-USD", "status": "online", "tick_size": "0.01", "min_order_size": "0.01"}])
]
_BALANCES = [b'{"spot":{"USD":{"total":"10.5","available":"4.25"}},"earn":{"BTC":{"total":"1","available":"0"}}}']
_BODIES = [
    msgspec.json.encode(one)
    for one in (
        {"pair": "BTC-USD", "side": "buy", "type": "limit", "price": "60000", "size": "0.01", "client_order_id": "a"},
        {"pair": "BTC-USD", "side": "sell", "type": "market", "size": "0.01", "time_in_force": "ioc"},
        {"pair": "BTC-USD", "side": "sell", "type": "stop", "price": "1", "stop_price": "2", "size": "0.01"},
        {"depth": "100"},
    )
]
_COMMANDS = [
    msgspec.json.encode({"op": op, "channels": [{"name": "orderbook", "pair": "BTC-USD", "depth": 100}]})
    for op in ("subscribe", "unsubscribe")
]


class _Stream:
    """A session that is made anew now and then: a broken connection ends, too."""

    def __init__(self) -> None:
        self._left = 0

    def read(self, data: bytes) -> Sequence[object]:
        if not self._left:
            self._rig, self._left = feed.Rig(), _RIG_INPUTS
            self._rig.take(feed.SNAPSHOT)
        self._left -= 1
        try:
            return self._rig.take(data)
        except StreamBroken:
            self._left = 0
            return ()


def _markets(data: bytes) -> list[object]:
    found = decode_json(data, partial(msgspec.json.decode, type=list[MarketRow]))
    return [instrument_of(one, "bx", FeeSchedule()) for one in found]


def _balances(data: bytes) -> list[object]:
    return list(balances_of(decode_json(data, partial(msgspec.json.decode, type=Balances)), "bx", 1))


def _order(data: bytes) -> list[object]:
    return [order_of(decode_json(data, decode_order), rows.btc(), 1)]


def _venue() -> BitExAsiaVenue:
    options = BitExAsiaOptions(directory=Path(tempfile.gettempdir()), speed=0.0)
    return bitexasia(options, now_ns=lambda: _NOW_NS).venue


def _requests() -> Callable[[bytes], Sequence[object]]:
    """Each input goes to the next endpoint, as a request that is signed already."""
    venue, endpoints = _venue(), cycle(ROWS)

    def read(data: bytes) -> Sequence[object]:
        row, text = next(endpoints), data.decode("utf-8", "replace")
        http = SimpleNamespace(match_info={"pair": "BTC-USD", "id": text}, query={"depth": text}, remote="127.0.0.1")
        row.handler(venue, Arrival(cast("web.Request", http), data, _NOW_NS))
        return []

    return read


def _commands() -> Callable[[bytes], Sequence[object]]:
    session: Any = SimpleNamespace(offer=lambda _frame: True, is_muted=lambda _target: False)
    talk = Talk(_venue(), cast("StreamSession", session))

    def read(data: bytes) -> Sequence[object]:
        talk.handle(data.decode("utf-8", "replace"))
        return []

    return read


TARGETS = (
    Target(
        "bitexasia stream",
        [
            *(msgspec.json.encode(one) for one in (feed.SNAPSHOT, feed.UPDATE, feed.TRADE)),
            b'{"type":"error","code":"x"}',
        ],
        lambda: _Stream().read,
        (),
    ),
    Target("bitexasia orders", [msgspec.json.encode(rows.ORDER)], lambda: _order, _NOT_READ),
    Target("bitexasia markets", _MARKETS, lambda: _markets, _NOT_READ),
    Target("bitexasia balances", _BALANCES, lambda: _balances, _NOT_READ),
    Target(
        "bitexasia errors",
        [b'{"error":{"code":"ip_not_allowed","message":"x"}}'],
        lambda: lambda data: [DIALECT.errors.read(403, data, 0).text],
        (),
    ),
    Target("bitexasia sandbox requests", _BODIES, _requests, (Refusal,)),
    Target("bitexasia sandbox stream", _COMMANDS, _commands, ()),
)
