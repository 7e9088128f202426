"""What ZDEX's client and its sandbox read: stream messages, lists, answers, errors; bodies, queries, commands."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from aiohttp import web

from connectors.client.session import StreamBroken
from connectors.client.wire.json_text import decode_json
from connectors.client.wire.listing import read_page
from connectors.sandbox.serving.rest import Arrival, Refusal
from connectors.zdex.sandbox.auth import Call, Keys
from connectors.zdex.sandbox.server import ROUTES, SandboxOptions, ZdexSandbox
from connectors.zdex.sandbox.stream import Conversation
from connectors.zdex.sandbox.venue import ZdexVenue
from connectors.zdex.sign import refusals_of
from connectors.zdex.wire import messages as m
from connectors.zdex.wire.decode import balance_of, fill_of, funding_of, instrument_of, order_of, position_of
from tests.connectors.zdex.support import BTC, FEES, SYMBOL
from tests.connectors.zdex.test_feed import BOOK, Rig
from tests.connectors.zdex.wire.test_decode import ASSET, POSITION, TRADE, V1_ANSWER, V2_ANSWER
from tests.proofs.fuzz.target import Target

_NOW_NS = 1_781_159_360_000_000_000
_FRESH_AFTER = 5_000
_NOT_JSON = (msgspec.DecodeError,)


def _message(channel: str, data: Any) -> bytes:
    return msgspec.json.encode({"channel": channel, "symbol": "BTCUSDT", "data": data, "ts": 1_711_756_800_000})


_STREAM = [
    _message("orderbook", BOOK),
    _message("trades", [{"id": 1, "price": "71034.5", "qty": "0.1", "time": 1_711_756_800_000, "isBuyerMaker": False}]),
    _message("markprice", {"markPrice": "71045.20", "indexPrice": "71042.8", "fundingRate": "0.0001"}),
    b'{"event":"subscribed","channels":["orderbook"],"symbols":["BTCUSDT"]}',
    b'{"event":"pong","ts":1711756800000}',
]
_ROWS = {
    "orders": [msgspec.json.decode(body)["order"] for body in (V1_ANSWER, V2_ANSWER)],
    "trades": [TRADE],
    "positions": [POSITION],
    "symbols": [SYMBOL],
    "funding": [{"id": "f1", "symbol": "BTCUSDT", "asset": "USDT", "amount": "-0.315", "time": 8}],
}
_ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000"}
_BODIES = [
    msgspec.json.encode(one)
    for one in (
        _ORDER | {"clientOrderId": "a", "reduceOnly": False, "positionSide": "BOTH"},
        _ORDER | {"type": "STOP", "stopPrice": "64000"},
        {"orders": [_ORDER, _ORDER]},
        {"symbol": "BTCUSDT", "leverage": 5, "forceWithOpenPosition": True},
        {"symbol": "BTCUSDT", "marginType": "ISOLATED"},
        {"positionMode": "ONE_WAY", "positionId": "x"},
        {"label": "x", "permissions": ["TRADE"], "ipWhitelist": ["127.0.0.1"], "expiresAt": 1_999_999_999_999},
    )
]
_QUERIES = [
    msgspec.json.encode(one)
    for one in (
        {"symbol": "BTCUSDT", "status": "NEW", "limit": "5", "offset": "1"},
        {"symbol": "BTCUSDT", "fromId": "5", "interval": "1m"},
    )
]
_COMMANDS = [
    b'{"action":"subscribe","channel":"orderbook","symbol":"BTCUSDT"}',
    b'{"action":"auth","token":"x"}',
    b'{"action":"ping"}',
]


def _read_stream() -> Callable[[bytes], Sequence[object]]:
    rigs = [Rig()]

    def read(data: bytes) -> Sequence[object]:
        if len(rigs[0].counts.unknown_types) > 50:
            rigs[0] = Rig()
        rigs[0].events.clear()
        try:
            rigs[0].receive(data)
        except StreamBroken:
            rigs[0] = Rig()
        return rigs[0].events

    return read


def _rows(page: type[Any], decode: Callable[[Any], object], data: bytes) -> list[object]:
    found = []
    for row in read_page(data, page)[1]:
        try:
            found.append(decode(row))
        except ValueError:
            continue
    return found


def _listed(name: str, field: str, page: type[Any], decode: Callable[[Any], object]) -> Target:
    corpus = [msgspec.json.encode({"ok": True, field: _ROWS[name], "total": 2})]
    return Target(f"zdex {name}", corpus, lambda: partial(_rows, page, decode), _NOT_JSON)


def _balances(data: bytes) -> list[object]:
    answer = decode_json(data, partial(msgspec.json.decode, type=m.BalanceAnswer))
    return [balance_of(row, "zdex", 1) for row in answer.rows]


def _answers(data: bytes) -> list[object]:
    answer = decode_json(data, partial(msgspec.json.decode, type=m.OrderAnswer))
    return [answer.number, order_of(answer.order, BTC, 1, has_client_ids=True)]


def _venue() -> ZdexVenue:
    options = SandboxOptions(directory=Path(tempfile.gettempdir()), speed=0.0, dialect="v2", markets=1)
    return ZdexSandbox(options, now_ns=lambda: _NOW_NS).venue


def _arrival(path: str, raw: bytes, query: dict[str, str]) -> Arrival:
    http = SimpleNamespace(
        match_info={"id": "x"}, query=query, method="POST", raw_path=path, headers={}, remote="127.0.0.1"
    )
    return Arrival(cast("web.Request", http), raw, _NOW_NS)


def _requests(methods: Iterable[str], *, is_query: bool) -> Callable[[bytes], Sequence[object]]:
    """Each input goes to the next endpoint of these methods, as a request that was let in already."""
    routes, served, keys = cycle([one for one in ROUTES["v2"] if one.method in methods]), [_venue()], [Keys()]
    left = [_FRESH_AFTER]

    def read(data: bytes) -> Sequence[object]:
        left[0] -= 1
        if not left[0]:
            served[0], keys[0], left[0] = _venue(), Keys(), _FRESH_AFTER
        route, query = next(routes), dict[str, str]()
        if is_query:
            try:
                found = msgspec.json.decode(data)
            except (ValueError, RecursionError):
                found = {"limit": data.decode("utf-8", "replace")}
            given = found.items() if isinstance(found, dict) else [("symbol", found)]
            query = {str(name): str(value) for name, value in given}
        reply = route.handler(Call(served[0], keys[0], _arrival(route.path, b"" if is_query else data, query)))
        return [msgspec.json.encode(reply.body).decode()[:1]]

    return read


def _commands() -> Callable[[bytes], Sequence[object]]:
    session = SimpleNamespace(offer=lambda frame: msgspec.json.encode(frame.message), is_muted=lambda _target: False)
    conversation = Conversation(_venue(), Keys(), cast("Any", session))

    def read(data: bytes) -> Sequence[object]:
        conversation.handle(data.decode("utf-8", "replace"))
        return []

    return read


TARGETS = (
    Target("zdex stream", _STREAM, _read_stream, ()),
    _listed("orders", "orders", m.OrderPage, lambda row: order_of(row, BTC, 1, has_client_ids=True)),
    _listed("trades", "data", m.DataPage[m.TradeRow], lambda row: fill_of(row, BTC, "x", 1)),
    _listed("positions", "positions", m.PositionPage, lambda row: position_of(row, BTC, 1)),
    _listed("symbols", "data", m.DataPage[m.SymbolRow], lambda row: instrument_of("zdex", row, FEES)),
    _listed("funding", "data", m.DataPage[m.FundingRow], lambda row: funding_of(row, "zdex", 1)),
    Target(
        "zdex balances",
        [msgspec.json.encode({"ok": True, "balances": one}) for one in ([ASSET], {"assets": [ASSET]})],
        lambda: _balances,
        (*_NOT_JSON, ValueError),
    ),
    Target("zdex answers to orders", [V1_ANSWER, V2_ANSWER], lambda: _answers, (*_NOT_JSON, ValueError)),
    Target(
        "zdex errors",
        [b'{"ok":false,"error":"Order not found","errorId":"e","code":"X"}', b'{"ok":false,"error":"x","errorId":5}'],
        lambda: lambda data: [refusals_of(5_000).read(400, data, 0).text],
        (),
    ),
    Target(
        "zdex sandbox writes",
        _BODIES,
        lambda: _requests(("POST", "PATCH", "DELETE"), is_query=False),
        (Refusal,),
    ),
    Target("zdex sandbox reads", _QUERIES, lambda: _requests(("GET",), is_query=True), (Refusal,)),
    Target("zdex sandbox stream", _COMMANDS, _commands, ()),
)
