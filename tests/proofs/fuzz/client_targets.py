"""What clients of venues read: stream messages, lists, answers to orders, errors, HTTP, numbers and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from connectors.client.session import StreamBroken
from connectors.client.wire import decimals
from connectors.client.wire.answers import ErrorResponse
from connectors.client.wire.json_text import decode_json
from connectors.client.wire.listing import read_page
from connectors.kalshi.markets.instruments import fees_of, instrument_of, settlement_value_of
from connectors.kalshi.wire import account_messages as a
from connectors.kalshi.wire import market_messages as m
from connectors.kalshi.wire.decode_acks import accepted, amended, cancelled, decode_ack
from connectors.kalshi.wire.decode_rest import rest_balance, rest_fill, rest_order_snapshot, rest_position
from connectors.kalshi.wire.decode_stream import NotAFrame
from connectors.kalshi.wire.errors import parse_error
from connectors.transport.http_codec import MalformedResponse, ResponseReader
from framework.domain.errors import OutcomeUnknown
from framework.domain.intents import AmendOrder, CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved
from tests.connectors.kalshi.stream.session_rig import Rig
from tests.connectors.kalshi.support import FEES, TICKER
from tests.connectors.kalshi.wire import test_decode_rest as rest
from tests.connectors.kalshi.wire import test_decode_stream as stream
from tests.connectors.kalshi.wire.test_decode_stream import decoder
from tests.proofs.fuzz.target import Target

_NOT_JSON = (msgspec.DecodeError,)
_RIG_INPUTS = 500
"""A rig is made anew after so many messages: a broken connection ends, too."""
_NAMED = TICKER.encode()
_STREAM = [
    seed.replace(b"%s", b"0.5200").replace(b"LEP", _NAMED)
    for seed in (stream.SNAPSHOT, stream.DELTA, stream.FILL, stream.USER_ORDER, stream.TRADE)
] + [
    b'{"type":"subscribed","id":1,"sending_ts_ms":5,"msg":{"channel":"fill","sid":1}}',
    b'{"type":"ok","id":2,"sid":1,"seq":3,"sending_ts_ms":5,"msg":{"market_tickers":["A"]}}',
    b'{"type":"error","id":2,"sid":1,"seq":1,"msg":{"code":25,"msg":"Subscription buffer overflow"}}',
    b'{"type":"unsubscribed","id":2,"sid":1,"seq":7}',
    b'{"type":"market_position","sid":3,"msg":{"market_ticker":"%s","position_fp":"-3.00","subaccount":0}}' % _NAMED,
    b'{"type":"market_lifecycle_v2","sid":4,"seq":1,"msg":{"market_ticker":"%s","event_type":"determined",'
    b'"result":"yes","settlement_value":"1.0000","determination_ts":1781159489,"close_ts":1781159489}}' % _NAMED,
    b'{"type":"ticker","sid":9,"seq":1,"msg":{"market_ticker":"%s","price_dollars":"0.5000"}}' % _NAMED,
]
_MARKET = msgspec.json.encode(
    {
        "ticker": TICKER,
        "event_ticker": "KXTIDE-26NOV21",
        "status": "active",
        "open_time": "2026-06-11T06:29:20Z",
        "close_time": "2026-12-11T06:29:20.5Z",
        "settlement_value_dollars": "0.5000",
        "result": "yes",
        "exchange_index": 0,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "fractional_trading_enabled": True,
    }
)
_ACK = (
    b'{"order_id":"o","client_order_id":"tg-1-1","fill_count":"1.00","remaining_count":"2.00","reduced_by":"2.00",'
    b'"ts_ms":1781159489957,"average_fill_price":"0.5600"}'
)
_APPROVED = partial(Approved, venue="kalshi", client_order_id="tg-1-1", ts_ns=1)
_NEW = NewOrder(strategy="s", instrument=rest.ID, side=Side.BUY, price=Price(5_600), size=Size(300))
_ORDER = Order(
    client_order_id="tg-1-1",
    venue="kalshi",
    strategy="s",
    instrument=rest.ID,
    side=Side.BUY,
    price=Price(5_600),
    size=Size(300),
)


class _Stream:
    """Feeds messages into a session like that of a connection, and gives what it published."""

    def __init__(self) -> None:
        self._rig = Rig()
        self._left = 0

    def read(self, data: bytes) -> Sequence[object]:
        if not self._left:
            self._rig = Rig(TICKER)
            self._rig.acknowledge_all()
            self._rig.snapshot()
            self._left = _RIG_INPUTS
        self._left -= 1
        self._rig.events.clear()
        try:
            self._rig.receive(data)
        except StreamBroken:
            self._left = 0
        return self._rig.events


def _rows(page: type[Any], decode: Callable[[Any], object], data: bytes) -> list[object]:
    found = []
    for row in read_page(data, page)[1]:
        try:
            found.append(decode(row))
        except ValueError:
            continue
    return found


def _instrument(row: m.RestMarket) -> tuple[object, object]:
    return instrument_of(row, venue="kalshi", fees=FEES), settlement_value_of(row)


def _fees(data: bytes) -> list[object]:
    series = decode_json(data, partial(msgspec.json.decode, type=m.SeriesResponse)).series
    return [fees_of(series, None)]


def _balance(data: bytes) -> list[object]:
    balance = decode_json(data, partial(msgspec.json.decode, type=a.RestBalance))
    return [rest_balance(balance, venue="kalshi", ts_recv=1)]


def _acks(data: bytes) -> list[object]:
    ack = decode_ack(data)
    found: list[object] = []
    amend = AmendOrder(strategy="s", client_order_id="tg-1-1", price=Price(5_000), size=Size(300))
    cancel = CancelOrder(strategy="s", client_order_id="tg-1-1")
    for make in (
        lambda: accepted(_APPROVED(intent=_NEW, request_kind=RequestKind.NEW), _NEW, ack, ts_recv=1),
        lambda: amended(_APPROVED(intent=amend, request_kind=RequestKind.AMEND), amend, ack, ts_recv=1),
        lambda: cancelled(_APPROVED(intent=cancel, request_kind=RequestKind.CANCEL), ack, ts_recv=1, order=_ORDER),
    ):
        try:
            found += make()
        except OutcomeUnknown:
            continue
    return found


def _error(data: bytes) -> list[object]:
    error: ErrorResponse = parse_error(400, data)
    return [str(error.text)]


def _http(data: bytes) -> list[object]:
    reader = ResponseReader(body_bytes_max=100_000)
    half = len(data) // 2
    return [reader.feed(data[:half]) or reader.feed(data[half:])]


def _numbers(data: bytes) -> list[object]:
    text = data.decode("utf-8", "replace")
    found: list[object] = []
    for read in (
        lambda: decimals.scaled_of(text, 4, "x"),
        lambda: decimals.decimals_of(text),
        lambda: decimals.from_base_units(text, base_decimals=18, decimals=4, field="x"),
        lambda: decimals.time_ns(text),
        lambda: decimals.iso_ns(text),
    ):
        try:
            found.append(read())
        except ValueError:
            continue
    return found


TARGETS = (
    Target("kalshi stream", _STREAM, lambda: _Stream().read, ()),
    Target("kalshi frames", _STREAM, lambda: lambda data: [type(decoder()[0].decode(data)).__name__], (NotAFrame,)),
    Target(
        "kalshi orders",
        [rest.ORDER.replace(b'{"order":', b'{"cursor":"","orders":[').removesuffix(b"}") + b"]}"],
        lambda: partial(_rows, a.OrdersPage, partial(rest_order_snapshot, venue="kalshi", ts_recv=1)),
        _NOT_JSON,
    ),
    Target(
        "kalshi fills",
        [rest.FILLS],
        lambda: partial(_rows, a.FillsPage, partial(rest_fill, venue="kalshi", ts_recv=1)),
        _NOT_JSON,
    ),
    Target(
        "kalshi positions",
        [rest.POSITIONS],
        lambda: partial(_rows, a.PositionsPage, partial(rest_position, venue="kalshi", ts_recv=1)),
        _NOT_JSON,
    ),
    Target(
        "kalshi markets",
        [b'{"cursor":"","markets":[' + _MARKET + b"," + _MARKET + b"]}"],
        lambda: partial(_rows, m.MarketsPage, _instrument),
        _NOT_JSON,
    ),
    Target(
        "kalshi fees",
        [b'{"series":{"ticker":"KXTIDE","fee_type":"quadratic","fee_multiplier":1}}'],
        lambda: _fees,
        (*_NOT_JSON, ValueError),
    ),
    Target("kalshi balance", [rest.BALANCE], lambda: _balance, (*_NOT_JSON, ValueError)),
    Target("kalshi answers to orders", [_ACK], lambda: _acks, (OutcomeUnknown,)),
    Target(
        "kalshi errors",
        [
            b'{"error":{"code":"invalid_parameters","message":"x","details":"y","service":"z"}}',
            b'{"code":"bad_request","message":"json: cannot unmarshal","service":"exchange"}',
            b'{"msg":"too many"}',
        ],
        lambda: _error,
        (),
    ),
    Target(
        "http responses",
        [
            b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nDate: Mon, 30 Nov 2026 10:00:00 GMT\r\n\r\n{"a":1}',
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ],
        lambda: _http,
        (MalformedResponse,),
    ),
    Target(
        "numbers and times",
        [
            b"0.5600",
            b"-12.3400",
            b"1781159489957",
            b"2026-06-11T06:31:29.957466Z",
            b"2026-06-11 06:31:29+02:00",
            b"1000000000000000000",
        ],
        lambda: _numbers,
        (),
    ),
)
