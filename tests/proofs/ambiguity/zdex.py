"""ZDEX in the ambiguity proof, in both dialects. In v1 no request and no order names our id: whose a request is the
proof notes when it is signed, and whose an order is its price says, because each order of a cell has one of its own.

What its resting orders trade no list shows. Positions do, which are read every five seconds, so healing may take longer
than that here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec

from connectors.client.gateway import digest_of
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import Order as EngineOrder
from connectors.transport.ports import HttpRequest
from connectors.zdex.plugin import sandbox_settings
from connectors.zdex.sandbox.server import SandboxOptions, ZdexSandbox
from connectors.zdex.sandbox.venue import MEMBER
from framework.domain.intents import NewOrder
from framework.domain.orders import Order
from framework.domain.venue import Connector
from framework.domain.verdicts import Approved, Signed
from tests.proofs.ambiguity.front import Answer, Call
from tests.proofs.ambiguity.venues import Act, Altered, Asked, Pace, Rival, Truth, net_of, truths_of

MANY = 1_000_000


class Zdex:
    """The local ZDEX, in this process."""

    name = "zdex"
    use = "connectors.zdex.plugin"
    actions = ("submit", "cancel", "batch")
    ears = ("stream", "look-ups")
    window_s = 0.0
    healed_s_max = 10.0
    port = 0

    def __init__(self, dialect: Literal["v1", "v2"]) -> None:
        self._dialect = dialect
        self._orders = f"/{dialect}/orders"
        self._signed: dict[str, str] = {}
        self._priced: dict[int, str] = {}

    async def start(self, directory: Path, pace: Pace) -> None:
        """Open its port, with quiet markets and reads that lag."""
        options = SandboxOptions(
            directory=directory, markets=1, speed=0, read_lag_ms=pace.venue_lag_ms, dialect=self._dialect,
            requests=MANY, orders=MANY,
        )  # fmt: skip
        self._sandbox = ZdexSandbox(options)
        self._ready = await self._sandbox.start()
        self.port = urlsplit(self._ready["rest_url"]).port or 0
        self.rival = Rival(self._exchange, self._sandbox.venue.served.publish_events)

    async def stop(self) -> None:
        """Close its port."""
        await self._sandbox.stop()

    def settings(self, front_port: int, pace: Pace) -> dict[str, object]:
        """The connector's settings, with its addresses moved to the front, and quick polls."""
        given: Mapping[str, Any] = sandbox_settings(self._ready)
        moved = {name: given[name].replace(f":{self.port}/", f":{front_port}/") for name in ("rest_url", "ws_url")}
        return {
            **given,
            **moved,
            "markets": ["BTCUSDT"],
            "request_timeout_ms": pace.request_timeout_ms,
            "read_lag_ms": pace.read_lag_ms,
            "orders_interval_ms": 100,
            "idle_interval_ms": 200,
            "connects_per_minute_max": 600,
            "requests_per_window": MANY,
            "orders_per_window": MANY,
        }

    def listen(self, connector: Connector) -> Connector:
        """The connector, whose requests and prices are noted with the order that they are for."""
        gateway = connector.gateway

        def sign(approved: Approved, order: Order | None, /) -> Signed:
            signed = gateway.sign(approved, order)
            if isinstance(approved.intent, NewOrder):
                self._signed[signed.digest] = approved.client_order_id
                self._priced[approved.intent.price] = approved.client_order_id
            return signed

        return cast("Connector", Altered(connector, gateway=Altered(gateway, sign=sign)))

    def lose_answers(self, count: int) -> None:
        """Have it take so many orders and cut their connections without an answer."""
        path = {"method": "POST", "path": self._orders}
        self._sandbox.venue.served.faults.add({"kind": "lost_response", "count": count, "match": path})

    def asked(self, call: Call) -> Asked | None:
        """What a write asks for, None for every other request."""
        path = call.target.partition("?")[0]
        if call.method == "DELETE" and path.startswith(f"{self._orders}/"):
            return Asked(Act.CANCEL, path.removeprefix(f"{self._orders}/"))
        if call.method != "POST" or path != self._orders:
            return None
        fields = msgspec.json.decode(call.body)
        digest = digest_of(HttpRequest(call.method, call.target, (), call.body))
        name = fields.pop("clientOrderId", "") or self._signed.get(digest, digest)
        return Asked(Act.SUBMIT, name, repr(sorted(fields.items())))

    def is_look_up(self, call: Call) -> bool:
        """Whether a read shows what became of an order."""
        path, _, query = call.target.partition("?")
        is_list = path == self._orders and "symbol=" in query
        return call.method == "GET" and (is_list or path.startswith(f"{self._orders}/"))

    def refusal(self, act: Act) -> Answer:
        """A no in the venue's own words: nothing was done."""
        return self._error(400, "Trading is paused" if act is Act.CANCEL else "Insufficient balance")

    def too_many(self) -> Answer:
        """The limiter's answer."""
        return self._error(429, "Rate limit exceeded, retry in 1 minute")

    def orders(self) -> list[Truth]:
        """Every order of ours that it ever accepted."""

        def name_of(order: EngineOrder) -> str:
            return order.client_order_id or self._priced[order.price]

        return truths_of(self._exchange, MEMBER, name_of)

    def net(self, symbol: str) -> int:
        """Our position."""
        return net_of(self._exchange, MEMBER, symbol)

    def _error(self, status: int, text: str) -> Answer:
        more = {"errorId": "0"} if self._dialect == "v2" else {}
        return Answer.of(status, msgspec.json.encode({"ok": False, "error": text} | more))

    @property
    def _exchange(self) -> Exchange:
        return self._sandbox.venue.served.exchange
