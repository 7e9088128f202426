"""What KalqiX's client and its local exchange read: rows of both dialects, errors, bodies and queries of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from aiohttp import web

from connectors.client.wire.answers import ErrorResponse
from connectors.client.wire.json_text import decode_json
from connectors.client.wire.listing import read_page
from connectors.client.wire.rows import Row
from connectors.kalqix.dialect import VERDICTS, WORDS, parse_error
from connectors.kalqix.sandbox.account import ACCOUNT_ROUTES
from connectors.kalqix.sandbox.markets import PUBLIC
from connectors.kalqix.sandbox.orders import ORDERS
from connectors.kalqix.sandbox.venue import Call, Credentials, KalqixVenue
from connectors.kalqix.wire.rows import Page, RowReader, market_of
from connectors.sandbox.serving.rest import Arrival, Refusal
from tests.connectors.kalqix.wire.test_rows import KNOWN, MARKET_ROW, ORDER_ROW, TRADE_ROW, instrument
from tests.proofs.fuzz.target import Target

_NOW_NS = 1_781_159_360_000_000_000
_FRESH_AFTER = 20_000
"""A venue is made anew after so many inputs: what they have placed must not slow it down."""
_MAKES_KEYS = "/api-keys"
_LISTED = instrument()
_READERS = [RowReader(has_base_units=is_b, markets=KNOWN) for is_b in (False, True)]
_BALANCE = {"asset": "BTC", "available_formatted": "1.5", "locked_formatted": "0.5", "total": "200000000"}


def _page(*rows: Row) -> bytes:
    return msgspec.json.encode({"total": 1, "page": 0, "page_size": 20, "data": rows})


def _each(data: bytes, read: Callable[[Row, RowReader], Any]) -> Sequence[object]:
    """The rows of a page that can be read, in both dialects."""
    found: list[object] = []
    for row in read_page(data, Page)[1]:
        for reader in _READERS:
            try:
                found.append(read(row, reader))
            except ValueError:
                continue
    return found


def _orders(data: bytes) -> Sequence[object]:
    return _each(data, lambda row, reader: WORDS.order_of(reader.order(row), _LISTED, 5))


def _fills(data: bytes) -> Sequence[object]:
    own = {"o-1": True, "o-2": False}
    return _each(data, lambda row, reader: [WORDS.fill_of(one, _LISTED, 5) for one in reader.fills([row], own)])


def _trades(data: bytes) -> Sequence[object]:
    return _each(data, lambda row, reader: WORDS.trade_of(reader.trade(row), _LISTED, 5))


def _markets(data: bytes) -> Sequence[object]:
    return _each(data, lambda row, reader: (WORDS.instrument_of(reader.market(row), "kalqix"), market_of(row)))


def _balances(data: bytes) -> Sequence[object]:
    return _each(data, lambda row, reader: WORDS.balance_of(reader.balance(row), "kalqix", 5))


def _book(data: bytes) -> Sequence[object]:
    return [_READERS[0].book(decode_json(data, msgspec.json.Decoder(Row).decode), _LISTED)]


def _errors(data: bytes) -> Sequence[object]:
    error: ErrorResponse = parse_error(400, data, 0)
    return [type(VERDICTS.of_write(error, is_cancel=is_cancel)).__name__ for is_cancel in (False, True)]


_BODIES = [
    msgspec.json.encode(one)
    for one in (
        {"ticker": "BTC_USDC", "side": "BUY", "order_type": "LIMIT", "price": "60000", "quantity": "0.01",
         "quote_quantity": "", "time_in_force": 0, "expires_at": 0, "timestamp": 1, "signature": "0x"},
        {"action": "PLACE_ORDER", "agent_index": 6, "client_order_id": "x-1", "expires_at": 0, "order_type": "LIMIT",
         "price": "60000000000", "quantity": "1000000", "side": "BUY", "ticker": "BTC/USDC", "time_in_force": 1,
         "timestamp": 1, "signature": "00"},
        {"asset": "USDC", "amount": "1.5", "chain_id": 1, "to_wallet_address": "0x" + "ab" * 20, "timestamp": 1,
         "signature": "0x"},
    )
]  # fmt: skip
_QUERIES = [
    msgspec.json.encode(one)
    for one in (
        {"page": "0", "page_size": "5", "ticker": "BTC_USDC", "open": "true", "side": "BUY,SELL", "status": "FILLED"},
        {"tickSize": "0.01", "order_type": "LIMIT", "client_order_id": "x-1"},
        {"order_id": "BTC_USDC", "timestamp": "1", "signature": "0x", "market": "1", "agent_index": "6"},
    )
]


class _Served:
    """Venues of both dialects in turn, made anew now and then, to which every action is signed well."""

    def __init__(self) -> None:
        self._left = 0

    def next(self) -> KalqixVenue:
        """The venue for the next input."""
        if not self._left:
            self._venues = cycle([self._fresh(is_b) for is_b in (False, True)])
            self._left = _FRESH_AFTER
        self._left -= 1
        return next(self._venues)

    def _fresh(self, is_b: bool) -> KalqixVenue:
        keys = Credentials({"k": "s"}, "0x" + "11" * 20, {6: "22" * 32})
        venue = KalqixVenue(keys, has_agents=is_b, seed=1, speed=0, limits=(10**9, 10**9))
        setattr(venue, "check_action", lambda *_, **__: None)  # noqa: B010 - no input could be signed
        return venue


def _arrival(path: str, raw: bytes, query: dict[str, str]) -> Arrival:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    http = SimpleNamespace(
        match_info={name: "me" if name == "user" else "BTC_USDC" for name in names},
        query=query,
        method="POST",
        path=path,
        raw_path=path,
        rel_url=SimpleNamespace(raw_path=path),
        headers={},
    )
    return Arrival(cast("web.Request", http), raw, _NOW_NS)


def _requests(*, are_reads: bool) -> Callable[[bytes], Sequence[object]]:
    """Each input goes to the next endpoint, as a request whose key has been checked."""
    routes = [one for one in (*PUBLIC, *ORDERS, *ACCOUNT_ROUTES) if (one.method in ("GET", "DELETE")) is are_reads]
    served, turns = _Served(), cycle([one for one in routes if one.path != _MAKES_KEYS])

    def read(data: bytes) -> Sequence[object]:
        route, found = next(turns), _object(data)
        query = {str(name): str(value) for name, value in found.items()} if are_reads else {}
        arrival = _arrival(route.path, b"" if are_reads else data, query)
        reply = route.handler(Call(served.next(), arrival, {} if are_reads else found))
        return [msgspec.json.encode(reply.body).decode()[:1]]

    return read


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


_REFUSALS = (msgspec.DecodeError,)
TARGETS = (
    Target("kalqix orders", [_page(ORDER_ROW)], lambda: _orders, _REFUSALS),
    Target("kalqix fills", [_page(TRADE_ROW | {"role": "MAKER"}), _page(TRADE_ROW)], lambda: _fills, _REFUSALS),
    Target("kalqix trades", [_page(TRADE_ROW)], lambda: _trades, _REFUSALS),
    Target("kalqix markets", [_page(MARKET_ROW)], lambda: _markets, _REFUSALS),
    Target("kalqix balances", [_page(_BALANCE)], lambda: _balances, _REFUSALS),
    Target(
        "kalqix book",
        [b'{"BUY":[{"price":"63000","quantity":"0.1"}],"SELL":[[{"price":"63010","quantity":"1"}]]}'],
        lambda: _book,
        (*_REFUSALS, ValueError),
    ),
    Target("kalqix errors", [b'{"error":"Order not found."}', b'{"code":"X","message":"y"}'], lambda: _errors, ()),
    Target("kalqix sandbox writes", _BODIES, lambda: _requests(are_reads=False), (Refusal,)),
    Target("kalqix sandbox reads", _QUERIES, lambda: _requests(are_reads=True), (Refusal,)),
)
