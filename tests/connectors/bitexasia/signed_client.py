"""A client of the sandbox that was written for tests: it shares no code with the connector, nor with the sandbox."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from connectors.bitexasia.sandbox.server import Talk
from connectors.bitexasia.sandbox.venue import BitExAsiaVenue
from connectors.sandbox.serving.server import SandboxServer

StartClient = Callable[..., Awaitable["Client"]]
SEED_BODY = '{ "pair": "BTC-USD", "side": "buy", "type": "limit", "price": "63000", "size": "0.01" }'
"""The body of the order on the vendor's page, written as it is there."""
_NONCES = itertools.count(0x7F3A1B8E)


@dataclass
class Answer:
    """Status, decoded body and headers of one answer."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.body["error"]["code"])


class Client:
    """Calls one sandbox; `key` is the prefix of the ready line's members for a key."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        sandbox: SandboxServer[BitExAsiaVenue, Talk],
        ready: dict[str, Any],
    ) -> None:
        self.session = session
        self.sandbox = sandbox
        self.ready = ready

    @property
    def venue(self) -> BitExAsiaVenue:
        """The exchange as it is now."""
        return self.sandbox.venue

    def signed(
        self, method: str, target: str, body: str = "", *, key: str = "", nonce: str = "", stamp_ms: int = 0
    ) -> dict[str, str]:
        """The four headers of a request."""
        stamp = str(stamp_ms or time.time_ns() // 1_000_000)
        once = nonce or f"{next(_NONCES):08x}"
        secret = Path(self.ready[f"{key}api_secret_path"]).read_text().encode()
        text = f"{method}\n{target}\n{body}\n{stamp}\n{once}".encode()
        return {
            "X-Api-Key": self.ready[f"{key}api_key"],
            "X-Api-Timestamp": stamp,
            "X-Api-Nonce": once,
            "X-Api-Signature": hmac.new(secret, text, hashlib.sha256).hexdigest(),
        }

    async def call(
        self, method: str, path: str, body: Any = "", *, headers: dict[str, str] | None = None, **how: Any
    ) -> Answer:
        """One request below /v1, signed unless `headers` replace the signature."""
        raw = body if isinstance(body, str) else json.dumps(body)
        sent = self.signed(method, f"/v1{path}", raw, **how) if headers is None else headers
        sent = sent | {"Content-Type": "application/json"}
        async with self.session.request(
            method, f"{self.ready['rest_url']}{path}", data=raw or None, headers=sent
        ) as answer:
            text = await answer.text()
            return Answer(answer.status, json.loads(text) if text else None, dict(answer.headers))

    async def order(self, **fields: Any) -> Answer:
        """A new order: a bid of 0.01 BTC at 60,000 unless the fields say otherwise; None leaves a field out."""
        body: dict[str, Any] = {"pair": "BTC-USD", "side": "buy", "type": "limit", "price": "60000", "size": "0.01"}
        return await self.call("POST", "/orders", {k: v for k, v in (body | fields).items() if v is not None})

    async def admin(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """One request of the administrator, which must be done."""
        async with self.session.request(method, f"{self.ready['admin_url']}/{path}", json=body) as answer:
            found = await answer.json()
            assert answer.status < 300, found
            return found

    async def quote(self, bids: list[list[str]], asks: list[list[str]], pair: str = "BTC-USD") -> None:
        """What the counterparty rests from now on."""
        await self.admin("act", {"act": "quote", "instrument": pair, "bids": bids, "asks": asks})
