"""BitExAsia in the ambiguity proof. An order whose answer is lost is sent again under its id, and looked up by placing
under that id one that can't trade: of both the venue makes one order at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from connectors.bitexasia.plugin import sandbox_settings
from connectors.bitexasia.sandbox.server import bitexasia
from connectors.bitexasia.sandbox.venue import SPOT, BitExAsiaOptions
from connectors.sandbox.engine.exchange import Exchange
from framework.domain.venue import Connector
from tests.proofs.ambiguity.front import Answer, Call
from tests.proofs.ambiguity.venues import HEALED_S_MAX, Act, Asked, Pace, Rival, Truth, net_of, truths_of

LIMIT = 6_000
STAND_IN = {"price": "0.01", "size": "0.01"}
"""The terms of an order that only takes an id."""


class BitExAsia:
    """The local BitExAsia, in this process."""

    name = "bitexasia"
    use = "connectors.bitexasia.plugin"
    actions = ("submit", "cancel", "batch")
    ears = ("stream", "look-ups")
    is_idempotent = True
    window_s = 60.0
    healed_s_max = HEALED_S_MAX
    port = 0

    def listen(self, connector: Connector) -> Connector:
        """The connector as it is: requests name our ids."""
        return connector

    async def start(self, directory: Path, pace: Pace) -> None:
        """Open its port, with quiet markets and reads that lag."""
        options = BitExAsiaOptions(directory, speed=0, read_lag_ms=pace.venue_lag_ms, limit=LIMIT)
        self._sandbox = bitexasia(options)
        self._ready = await self._sandbox.start()
        self.port = urlsplit(self._ready["rest_url"]).port or 0
        self.rival = Rival(self._exchange, self._sandbox.venue.served.publish_events)

    async def stop(self) -> None:
        """Close its port."""
        await self._sandbox.stop()

    def settings(self, front_port: int, pace: Pace) -> dict[str, object]:
        """The connector's settings, with its addresses moved to the front."""
        given: dict[str, Any] = dict(sandbox_settings(self._ready))
        moved = {name: given[name].replace(f":{self.port}/", f":{front_port}/") for name in ("rest_url", "ws_url")}
        return {
            **given,
            **moved,
            "markets": ["BTC-USD"],
            "limit": LIMIT,
            "request_timeout_ms": pace.request_timeout_ms,
            "read_lag_ms": pace.read_lag_ms,
            "connects_per_minute_max": 600,
        }

    def asked(self, call: Call) -> Asked | None:
        """What a write asks for, None for every other request, and for an order that only takes an id."""
        parts = call.target.removeprefix("/v1/").split("/")
        if call.method != "POST" or parts[0] != "orders":
            return None
        if len(parts) == 3:
            return Asked(Act.CANCEL, parts[1])
        fields = msgspec.json.decode(call.body)
        name = fields.pop("client_order_id")
        return None if STAND_IN.items() <= fields.items() else Asked(Act.SUBMIT, name, repr(sorted(fields.items())))

    def is_look_up(self, call: Call) -> bool:
        """Whether a request shows what became of an order: a read of it, or one that takes its id."""
        is_stand_in = call.method == "POST" and call.target == "/v1/orders" and self.asked(call) is None
        return is_stand_in or (call.method == "GET" and call.target.startswith("/v1/orders/"))

    def refusal(self, act: Act) -> Answer:
        """A no in the venue's own words: nothing was done."""
        code = "trading_paused" if act is Act.CANCEL else "insufficient_funds"
        return Answer.of(422, msgspec.json.encode({"error": {"code": code, "message": code.replace("_", " ")}}))

    def too_many(self) -> Answer:
        """The limiter's answer."""
        return Answer.of(429, b'{"error":{"code":"rate_limited","message":"rate limited"}}')

    def orders(self) -> list[Truth]:
        """Every order of ours that it ever accepted, but for those that only take an id."""
        return [one for one in truths_of(self._exchange, SPOT) if one.price > 1]

    def net(self, symbol: str) -> int:
        """Our position."""
        return net_of(self._exchange, SPOT, symbol)

    @property
    def _exchange(self) -> Exchange:
        return self._sandbox.venue.served.exchange
