"""What sandboxes read: bodies and queries of requests, commands of a stream, faults and acts of an administrator."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from aiohttp import web

from connectors.kalshi.sandbox.auth import ApiKey
from connectors.kalshi.sandbox.rest.call import Call
from connectors.kalshi.sandbox.rest.server import ROUTES
from connectors.kalshi.sandbox.server import KalshiSandbox, SandboxOptions
from connectors.kalshi.sandbox.stream.commands import CommandHandler
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.serving.acts import ActRequestError, perform
from connectors.sandbox.serving.faults import FaultRequestError
from connectors.sandbox.serving.public_keys import generate_private_key
from connectors.sandbox.serving.rest import Arrival, Refusal
from tests.proofs.fuzz.target import Target

MAKES_A_KEY = "/api_keys/generate"
"""The one endpoint that may take long: an RSA key is made there."""
_NOW_NS = 1_781_159_360_000_000_000
_FRESH_AFTER = 20_000
"""A venue is made anew after so many inputs: what they have placed must not slow it down."""


def _venue() -> Venue:
    options = SandboxOptions(directory=Path(tempfile.gettempdir()), speed=0.0, tier="prestige")
    return KalshiSandbox(options, now_ns=lambda: _NOW_NS).venue


_LISTED = sorted(_venue().served.exchange.state.markets)[0]
_KEY = ApiKey("fuzz", "fuzz", generate_private_key("ed25519").public_key())
_ORDER: dict[str, Any] = {
    "ticker": _LISTED,
    "side": "bid",
    "price": "0.4000",
    "count": "3.00",
    "client_order_id": "a",
    "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "taker_at_cross",
    "post_only": False,
    "reduce_only": False,
    "expiration_time": 1_781_159_999,
    "subaccount": 0,
    "order_group_id": "",
    "exchange_index": 0,
}
_BODIES = [
    msgspec.json.encode(one)
    for one in (
        _ORDER,
        {"orders": [_ORDER, _ORDER]},
        {"orders": [{"order_id": "a", "subaccount": 0}]},
        {"price": "0.5000", "count": "4.00", "ticker": _LISTED, "side": "bid", "client_order_id": "a"},
        {"reduce_by": "1.00", "reduce_to": "1.00"},
        {"contracts_limit": 10, "subaccount": 0},
        {"from_subaccount": 0, "to_subaccount": 1, "amount_cents": 100, "client_transfer_id": "x"},
        {"name": "x", "public_key": "-----BEGIN PUBLIC KEY-----", "scopes": ["read"]},
    )
]
_QUERIES = [
    msgspec.json.encode(one)
    for one in (
        {"limit": "5", "cursor": "k1:5", "status": "resting", "ticker": _LISTED, "min_ts": "1781159360", "max_ts": "1"},
        {"series_ticker": "KXTIDE", "event_ticker": "KXTIDE-26NOV21", "status": "open", "tickers": _LISTED},
        {"depth": "3", "period_interval": "60", "start_ts": "1781159360", "end_ts": "1781169360", "subaccount": "0"},
        {"order_id": "x", "count_filter": "position", "settlement_status": "all", "market_tickers": _LISTED},
    )
]
_COMMANDS = [
    msgspec.json.encode(one)
    for one in (
        {
            "id": 1,
            "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta", "trade"], "market_tickers": [_LISTED]},
        },
        {
            "id": 2,
            "cmd": "update_subscription",
            "params": {"sids": [1], "market_ticker": _LISTED, "action": "get_snapshot"},
        },
        {"id": 3, "cmd": "unsubscribe", "params": {"sids": [1, 2]}},
        {"id": 4, "cmd": "list_subscriptions"},
    )
]
_FAULTS = [
    b'{"kind":"delay","count":2,"for_s":1.5,"path":"/trade-api/v2/portfolio/orders","delay_ms":5}',
    b'{"kind":"error_after_accept","count":1,"status":503}',
]
_ACTS = [
    msgspec.json.encode(one)
    for one in (
        {"act": "quote", "instrument": _LISTED, "bids": [["0.40", "5"]], "asks": [["0.60", "5"]]},
        {"act": "trade", "instrument": _LISTED, "side": "buy", "price": "0.60", "size": "1"},
        {"act": "deposit", "currency": "USD", "amount": "5"},
        {"act": "order", "instrument": _LISTED, "side": "buy", "price": "0.30", "size": "1"},
        {"act": "cancel", "order_id": "x"},
    )
]


class _Served:
    """A venue that is made anew now and then."""

    def __init__(self) -> None:
        self._venue = _venue()
        self._left = _FRESH_AFTER

    def next(self) -> Venue:
        """The venue for the next input."""
        self._left -= 1
        if not self._left:
            self.__init__()  # type: ignore[misc]  # from the beginning
        return self._venue


def _requests(
    methods: Iterable[str], arrival_of: Callable[[bytes, str], Arrival]
) -> Callable[[bytes], Sequence[object]]:
    """Each input goes to the next endpoint of these methods, as a request that is signed already."""
    served, routes = _Served(), cycle([one for one in ROUTES if one.method in methods and one.path != MAKES_A_KEY])

    def read(data: bytes) -> Sequence[object]:
        route = next(routes)
        reply = route.handler(Call(served.next(), _KEY, arrival_of(data, route.path)))
        return [msgspec.json.encode(reply.body).decode()[:1]]

    return read


def _arrival(path: str, *, raw: bytes = b"", query: dict[str, str] | None = None) -> Arrival:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    values = query or {}
    http = SimpleNamespace(
        match_info=dict.fromkeys(names, _LISTED),
        query=SimpleNamespace(
            get=values.get, getall=lambda name, default: [values[name]] if name in values else default
        ),
        method="POST",
        raw_path=path,
        headers={},
    )
    return Arrival(cast("web.Request", http), raw, _NOW_NS)


def _with_query(data: bytes, path: str) -> Arrival:
    try:
        found = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        found = {"limit": data.decode("utf-8", "replace")}
    given = found.items() if isinstance(found, dict) else [("limit", found)]
    return _arrival(path, query={str(name): str(value) for name, value in given})


def _commands() -> Callable[[bytes], Sequence[object]]:
    served, sent = _Served(), list[object]()

    def read(data: bytes) -> Sequence[object]:
        sent.clear()
        handler = CommandHandler(served.next().markets, lambda frame, _: sent.append(msgspec.json.encode(frame)))
        handler.handle(data.decode("utf-8", "replace"))
        return []

    return read


def _objects(take: Callable[[Venue, dict[str, Any]], object]) -> Callable[[bytes], Sequence[object]]:
    served = _Served()

    def read(data: bytes) -> Sequence[object]:
        try:
            found = msgspec.json.decode(data)
        except (ValueError, RecursionError):
            return []
        if isinstance(found, dict):
            take(served.next(), found)
        return []

    return read


TARGETS = (
    Target(
        "sandbox writes",
        _BODIES,
        lambda: _requests(("POST", "PUT", "DELETE"), lambda data, path: _arrival(path, raw=data)),
        (Refusal,),
    ),
    Target("sandbox reads", _QUERIES, lambda: _requests(("GET",), _with_query), (Refusal,)),
    Target("sandbox stream", _COMMANDS, _commands, ()),
    Target(
        "sandbox faults",
        _FAULTS,
        lambda: _objects(lambda venue, one: venue.served.faults.check(one)),
        (FaultRequestError,),
    ),
    Target(
        "sandbox acts",
        _ACTS,
        lambda: _objects(lambda venue, one: perform(venue.served, one)),
        (ActRequestError, FaultRequestError),
    ),
)
