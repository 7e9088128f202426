"""A small client of the sandbox that signs requests on its own."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from connectors.kalshi.sandbox.server import KalshiSandbox, KalshiSandboxInfo
from connectors.sandbox.engine.model import Accepted, OrderRequest, Side

PREFIX = "/trade-api/v2"
STREAM = "/trade-api/ws/v2"
RIVAL = "rival"


def signed_headers(key_path: str, key_id: str, method: str, path: str, skew_ms: int = 0) -> dict[str, str]:
    """The three headers of the venue, signed with the key in `key_path`."""
    private = _key_of(Path(key_path).read_bytes())
    stamp = str(time.time_ns() // 1_000_000 + skew_ms)
    text = f"{stamp}{method}{path}".encode()
    if isinstance(private, rsa.RSAPrivateKey):
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = private.sign(text, scheme, hashes.SHA256())
    else:
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        signature = private.sign(text)
    return {
        "KALSHI-ACCESS-KEY": key_id,
        "KALSHI-ACCESS-TIMESTAMP": stamp,
        "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
    }


@cache
def _key_of(pem: bytes) -> Any:
    """Read once: its check takes longer than a request."""
    return serialization.load_pem_private_key(pem, password=None)


class Administered:
    """A sandbox that a test changes from outside."""

    info: KalshiSandboxInfo

    async def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.info.admin_url}/{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None


@dataclass
class Answer:
    """Status, decoded body and headers of one answer."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Stream:
    """A stream connection; `frames` keeps everything received in order."""

    socket: aiohttp.ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, command: dict[str, Any]) -> None:
        """Send one command."""
        await self.socket.send_str(json.dumps(command))

    async def next(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """The next frame."""
        frame: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=timeout_s))
        self.frames.append(frame)
        return frame

    async def until(self, kind: str) -> dict[str, Any]:
        """The next frame of a type, reading over others."""
        while True:
            frame = await self.next()
            if frame["type"] == kind:
                return frame


class Client:
    """A signed client of one sandbox."""

    def __init__(self, session: aiohttp.ClientSession, sandbox: KalshiSandbox, info: KalshiSandboxInfo) -> None:
        self.session = session
        self.sandbox = sandbox
        self.info = info
        self.origin = info.rest_url.removesuffix(PREFIX)
        self.key_id = info.ed25519_key_id
        self.key_path = info.ed25519_private_key_path

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, skew_ms: int = 0
    ) -> Answer:
        """One request below the REST prefix, signed unless `headers` replace the signature."""
        if headers is None:
            headers = signed_headers(self.key_path, self.key_id, method, PREFIX + path.partition("?")[0], skew_ms)
        async with self.session.request(method, self.info.rest_url + path, json=body, headers=headers) as response:
            text = await response.text()
            return Answer(response.status, json.loads(text) if text else None, dict(response.headers))

    async def admin(self, method: str, path: str, body: Any = None) -> Answer:
        """One request to the admin endpoints."""
        async with self.session.request(method, self.info.admin_url + path, json=body) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def audit_report(self) -> dict[str, Any]:
        """The administrator's audit report."""
        report: dict[str, Any] = (await self.admin("GET", "/truth")).body
        return report

    async def stream(self, *, autoping: bool = True) -> Stream:
        """A signed stream connection."""
        headers = signed_headers(self.key_path, self.key_id, "GET", STREAM)
        return Stream(await self.session.ws_connect(self.info.ws_url, headers=headers, autoping=autoping))

    def with_key(self, key_id: str, pem: str) -> Client:
        """The same sandbox through another key."""
        other = Client(self.session, self.sandbox, self.info)
        path = Path(self.key_path).with_name(f"{key_id}.pem")
        path.write_text(pem)
        other.key_id, other.key_path = key_id, str(path)
        return other

    def order(self, **changes: Any) -> dict[str, Any]:
        """A resting order far from the touch, with changes."""
        order = {
            "ticker": self.ticker,
            "client_order_id": f"c-{time.monotonic_ns()}",
            "side": "bid",
            "count": "1.00",
            "price": "0.0100",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
        }
        return {name: value for name, value in (order | changes).items() if value is not None}

    async def place(self, **changes: Any) -> Answer:
        """Place an order."""
        return await self.call("POST", "/portfolio/events/orders", self.order(**changes))

    @property
    def ticker(self) -> str:
        """The first market."""
        return next(iter(self.sandbox.venue.catalog.markets))

    def rival(self, side: Side, price: int, size: int) -> str:
        """Rest (or trade) an order of another member, straight in the engine; its order id."""
        venue = self.sandbox.venue
        if RIVAL not in venue.exchange.state.accounts:
            venue.exchange.add_account(RIVAL, {"USD": 10**15}, internal=True)
        request = OrderRequest(account=RIVAL, market_id=self.ticker, side=side, price=price, size=size)
        answer = venue.exchange.submit(request, now_ns=venue.clock.engine_ns())
        assert isinstance(answer, Accepted)
        venue.publish_events()
        return answer.order.order_id


class TurnedClock:
    """A wall clock that moves only when a test sets it."""

    def __init__(self) -> None:
        self.ns = time.time_ns()

    def __call__(self) -> int:
        return self.ns


StartClient = Callable[..., Any]
