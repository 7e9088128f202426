"""A market of the venue, and a running sandbox with a client that signs by itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from connectors.client.instruments import InstrumentRegistry, ListedInstrument, ReadBegan, Selection
from connectors.zdex.sandbox.server import SandboxOptions, ZdexSandbox
from connectors.zdex.wire.decode import instrument_of
from connectors.zdex.wire.messages import SymbolRow
from framework.domain.instruments import FeeSchedule

FEES = FeeSchedule(taker_rate="0.0005", maker_rate="0.0002")
SYMBOL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "10000000.0"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ],
}
BTC = instrument_of("zdex", msgspec.convert(SYMBOL, SymbolRow), FEES)


def registry_of(*symbols: str) -> InstrumentRegistry:
    """A registry that knows BTCUSDT, and follows these symbols."""
    registry = InstrumentRegistry("zdex", Selection(("*",)), followed_max=10)
    registry.define(ListedInstrument(BTC), ts_recv=0, began=ReadBegan(0, 0))
    registry.follow(symbols)
    return registry


def signed(secret: str, params: dict[str, str | int], stamp_ms: int) -> str:
    """A query with its signature, made with the standard library alone."""
    text = "&".join(f"{name}={value}" for name, value in sorted((params | {"timestamp": stamp_ms}).items()))
    return f"{text}&signature={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


@dataclass
class Answer:
    """Status, decoded body and headers of one answer."""

    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """Signs and sends to a running sandbox; each request has a millisecond of its own."""

    def __init__(self, http: aiohttp.ClientSession, sandbox: ZdexSandbox, ready: dict[str, Any]) -> None:
        self.http = http
        self.sandbox = sandbox
        self.ready = ready
        self.key: str = ready["api_key"]
        self.secret = Path(ready["api_secret_path"]).read_text()
        self.token = Path(ready["session_token_path"]).read_text()
        self._stamp_ms = 0

    def stamp_ms(self) -> int:
        """A millisecond that was not used before."""
        self._stamp_ms = max(self._stamp_ms + 1, time.time_ns() // 1_000_000)
        return self._stamp_ms

    async def ask(
        self, method: str, path: str, body: Any = None, *, stamp_ms: int | None = None, **params: str | int
    ) -> Answer:
        """A request signed with the trader's key."""
        query = signed(self.secret, params, self.stamp_ms() if stamp_ms is None else stamp_ms)
        return await self.send(method, f"{path}?{query}", body, {"X-API-KEY": self.key})

    async def session(self, method: str, path: str, body: Any = None) -> Answer:
        """A request with the token of a session."""
        return await self.send(method, path, body, {"Authorization": f"Bearer {self.token}"})

    async def send(self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """A request as it is."""
        url = f"{self.ready['rest_url']}{target}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            shown = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, json.loads(text) if text else None, shown)

    async def act(self, act: str, **fields: Any) -> Any:
        """An act of the administrator."""
        async with self.http.post(f"{self.ready['admin_url']}/act", json={"act": act, **fields}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def fault(self, kind: str, **fields: Any) -> None:
        """A fault of the administrator."""
        async with self.http.post(f"{self.ready['admin_url']}/faults", json={"kind": kind, **fields}) as answer:
            assert answer.status == 201, await answer.text()

    async def truth(self) -> dict[str, Any]:
        """What really happened."""
        async with self.http.get(f"{self.ready['admin_url']}/truth") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def stream(self) -> aiohttp.ClientWebSocketResponse:
        """A connection to the stream."""
        return await self.http.ws_connect(self.ready["ws_url"])

    async def quote(self, bid: str, ask: str, size: str = "1") -> None:
        """Have the counterparty rest one level on each side."""
        await self.act("quote", instrument="BTCUSDT", bids=[[bid, size]], asks=[[ask, size]])

    async def buy(self, price: str, quantity: str = "0.01", **fields: Any) -> Answer:
        """Place an order to buy."""
        body = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": quantity, "price": price}
        return await self.ask("POST", "/orders", body | fields)


Start = Callable[..., Any]


def options_of(directory: Path, **options: Any) -> SandboxOptions:
    """Options of a sandbox without order flow."""
    return SandboxOptions(**({"directory": directory, "speed": 0.0, "markets": 1} | options))


async def next_of(socket: aiohttp.ClientWebSocketResponse, **wanted: str) -> dict[str, Any]:
    """The next message with these members."""
    while True:
        message: dict[str, Any] = json.loads(await socket.receive_str(timeout=5))
        if all(message.get(name) == value for name, value in wanted.items()):
            return message
