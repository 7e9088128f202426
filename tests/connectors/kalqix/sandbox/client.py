"""A client of KalqiX for tests, written apart from the product's: eth-account signs, `json` and `hmac` do the rest."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT
from eth_account import Account
from eth_account.messages import encode_defunct

from connectors.kalqix.sandbox.server import KalqixOptions, kalqix
from connectors.kalqix.sandbox.venue import KalqixVenue

Json = dict[str, Any]


def canonical(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def by_wallet(private_key: str, fields: Mapping[str, Any]) -> str:
    """`personal_sign` of an action."""
    signed = Account.sign_message(encode_defunct(text=canonical(fields)), private_key)
    return "0x" + signed.signature.hex().removeprefix("0x")


def by_agent(private_key: str, fields: Mapping[str, Any]) -> str:
    """BIP-340 over the text itself."""
    text, keypair, signature = canonical(fields).encode(), ffi.new("secp256k1_keypair *"), ffi.new("unsigned char[64]")
    lib.secp256k1_keypair_create(GLOBAL_CONTEXT.ctx, keypair, PrivateKey.from_hex(private_key).secret)
    lib.secp256k1_schnorrsig_sign_custom(GLOBAL_CONTEXT.ctx, signature, text, len(text), keypair, ffi.NULL)
    return bytes(ffi.buffer(signature)).hex()


class Client:
    """One account. `stamp_ms` makes the next timestamps: none twice, a little behind the clock."""

    def __init__(self, http: aiohttp.ClientSession, ready: Json, venue: KalqixVenue) -> None:
        self.http = http
        self.ready = ready
        self.venue = venue
        self.root = ready["rest_url"].removesuffix("/v1")
        self.secret = Path(ready["api_secret_path"]).read_text()
        self.wallet_key = Path(ready["wallet_key_path"]).read_text()
        self.is_b = ready["dialect"] == "b"
        self._last_ms = 0

    def stamp_ms(self) -> int:
        self._last_ms = max(self._last_ms + 1, int(time.time() * 1000) - 500)
        return self._last_ms

    async def ask(
        self, method: str, target: str, body: Json | None = None, *, stamp_ms: int | None = None, **changes: str
    ) -> tuple[int, Any]:
        """A signed request; `target` is below /v1. `changes` replace parts of what is signed: path, secret, key."""
        stamp = str(self.stamp_ms() if stamp_ms is None else stamp_ms)
        path, _, query = f"/v1{target}".partition("?")
        text = canonical(body) if body else ""
        signed_path = changes.get("path", path)
        place = f"{signed_path}?{query}" if query else signed_path
        if self.is_b:
            place = f"{signed_path}|{'&'.join(sorted(query.split('&'))) if query else ''}"
        secret = changes.get("secret", self.secret).encode()
        signature = hmac.new(secret, f"{method}|{place}|{text}|{stamp}".encode(), hashlib.sha256).hexdigest()
        key = changes.get("key", self.ready["api_key"])
        headers = {"x-api-key": key, "x-api-signature": signature, "x-api-timestamp": stamp}
        # The order of the names on the wire is not the one that is signed.
        data = None if body is None else json.dumps(dict(reversed(body.items())))
        if data is not None:
            headers["Content-Type"] = "application/json"
        return await self.send(method, f"/v1{target}", data, headers)

    async def send(
        self, method: str, target: str, data: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """A request as it is."""
        async with self.http.request(method, self.root + target, data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    def order_body(self, **fields: Any) -> Json:
        """An order's body with its signature."""
        stamp = fields.pop("timestamp", None) or self.stamp_ms()
        given = {"ticker": "BTC_USDC", "side": "BUY", "order_type": "LIMIT", "price": "60000", "quantity": "0.01"}
        rest = {"quote_quantity": "", "time_in_force": 0, "expires_at": 0, "timestamp": stamp}
        body = given | rest | fields
        return body | {"signature": by_wallet(self.wallet_key, body | {"action": "PLACE_ORDER"})}

    async def place(self, **fields: Any) -> str:
        """Place an order and return its id."""
        status, answer = await self.ask("POST", "/orders", self.order_body(**fields))
        assert status == 201, answer
        return str(answer["order_id"])

    def cancel_target(self, order_id: str) -> str:
        action = {"action": "CANCEL_ORDER", "order_id": order_id, "timestamp": self.stamp_ms()}
        signature = by_wallet(self.wallet_key, action)
        return f"/orders/{order_id}?order_id={order_id}&timestamp={action['timestamp']}&signature={signature}"

    async def act(self, act: str, **fields: Any) -> Any:
        """Something that the administrator makes happen."""
        async with self.http.post(f"{self.ready['admin_url']}/act", json={"act": act, **fields}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def fault(self, kind: str, **fields: Any) -> None:
        async with self.http.post(f"{self.ready['admin_url']}/faults", json={"kind": kind, **fields}) as answer:
            assert answer.status == 201, await answer.text()

    async def make_market(self) -> None:
        """The flow stops, and somebody rests a coin at 62,990 and at 63,010."""
        await self.act("quiet")
        await self.act("quote", instrument="BTC_USDC", bids=[["62990", "1"]], asks=[["63010", "1"]])


@asynccontextmanager
async def serving(directory: Path, **options: Any) -> AsyncIterator[Client]:
    """A running sandbox and a client of it."""
    server = kalqix(KalqixOptions(directory, speed=0, **options))
    ready = await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Client(http, ready, server.venue)
    finally:
        await server.stop()
