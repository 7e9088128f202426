"""KalqiX in the ambiguity proof, in both dialects. In A no request and no order names our id: the wallet's signature
does, of which the proof notes whose it is when it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec

from connectors.kalqix.plugin import sandbox_settings
from connectors.kalqix.sandbox.server import KalqixOptions, kalqix
from connectors.kalqix.sandbox.venue import ACCOUNT
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import Order as EngineOrder
from framework.domain.orders import Order
from framework.domain.venue import Connector
from framework.domain.verdicts import Approved, Signed
from tests.proofs.ambiguity.front import Answer, Call
from tests.proofs.ambiguity.venues import HEALED_S_MAX, Act, Altered, Asked, Pace, Rival, Truth, net_of, truths_of


class Kalqix:
    """The local KalqiX, in this process."""

    name = "kalqix"
    use = "connectors.kalqix.plugin"
    actions = ("submit", "cancel", "batch")
    ears = ("look-ups",)
    window_s = 0.0
    healed_s_max = HEALED_S_MAX
    port = 0

    def __init__(self, dialect: Literal["a", "b"]) -> None:
        self._dialect = dialect
        self._names: dict[str, str] = {}

    async def start(self, directory: Path, pace: Pace) -> None:
        """Open its port, with quiet markets and reads that lag."""
        options = KalqixOptions(directory, speed=0, read_lag_ms=pace.venue_lag_ms, dialect=self._dialect)
        self._sandbox = kalqix(options)
        self._ready = await self._sandbox.start()
        self.port = urlsplit(self._ready["rest_url"]).port or 0
        self.rival = Rival(self._exchange, self._sandbox.venue.served.publish_events)

    async def stop(self) -> None:
        """Close its port."""
        await self._sandbox.stop()

    def settings(self, front_port: int, pace: Pace) -> dict[str, object]:
        """The connector's settings, with its address moved to the front, and quick polls."""
        given: Mapping[str, Any] = sandbox_settings(self._ready)
        return {
            **given,
            "rest_url": given["rest_url"].replace(f":{self.port}/", f":{front_port}/"),
            "markets": ["BTC_USDC"],
            "request_timeout_ms": pace.request_timeout_ms,
            "read_lag_ms": pace.read_lag_ms,
            "book_interval_ms": 200,
            "orders_interval_ms": 100,
            "idle_interval_ms": 200,
            "connects_per_minute_max": 600,
        }

    def listen(self, connector: Connector) -> Connector:
        """The connector, whose signatures are noted with the order that they are for."""
        gateway = connector.gateway

        def sign(approved: Approved, order: Order | None, /) -> Signed:
            signed = gateway.sign(approved, order)
            self._names[signed.digest] = approved.client_order_id
            return signed

        return cast("Connector", Altered(connector, gateway=Altered(gateway, sign=sign)))

    def asked(self, call: Call) -> Asked | None:
        """What a write asks for, None for every other request."""
        path = call.target.partition("?")[0]
        if call.method == "DELETE" and path.startswith("/v1/orders/"):
            return Asked(Act.CANCEL, path.removeprefix("/v1/orders/"))
        if call.method != "POST" or path != "/v1/orders":
            return None
        fields = msgspec.json.decode(call.body)
        name = fields.pop("client_order_id", "") or self._name_of(fields["signature"])
        kept = {key: value for key, value in fields.items() if key not in ("signature", "timestamp")}
        return Asked(Act.SUBMIT, name, repr(sorted(kept.items())))

    def is_look_up(self, call: Call) -> bool:
        """Whether a read shows what became of an order."""
        return call.method == "GET" and ("/v1/orders/" in call.target or "/v1/orders?" in call.target)

    def refusal(self, act: Act) -> Answer:
        """A no in the venue's own words: nothing was done."""
        text = "Market is not active." if act is Act.CANCEL else "Insufficient balance."
        code = "MARKET_INACTIVE" if act is Act.CANCEL else "INSUFFICIENT_BALANCE"
        body = {"code": code, "message": text} if self._dialect == "b" else {"error": text}
        return Answer.of(400, msgspec.json.encode(body))

    def too_many(self) -> Answer:
        """The limiter's answer."""
        return Answer.of(429, b'{"error":"Too many requests."}')

    def orders(self) -> list[Truth]:
        """Every order of ours that it ever accepted."""
        signatures = self._sandbox.venue.signatures

        def name_of(order: EngineOrder) -> str:
            return order.client_order_id or self._name_of(signatures.get(order.order_id, ""))

        return truths_of(self._exchange, ACCOUNT, name_of)

    def net(self, symbol: str) -> int:
        """Our position."""
        return net_of(self._exchange, ACCOUNT, symbol)

    def _name_of(self, signature: str) -> str:
        digest = hashlib.sha256(signature.encode()).hexdigest()
        return self._names.get(digest, digest)

    @property
    def _exchange(self) -> Exchange:
        return self._sandbox.venue.served.exchange
