"""The venues that the ambiguity proof runs against: one row each, and what the proof must know of their words."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from connectors.kalshi.sandbox.server import KalshiSandbox, SandboxOptions
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import Order, OrderRequest, Rejection
from framework.domain.venue import Connector
from tests.proofs.ambiguity.front import Answer, Call
from tests.support.rsa_key import keep_rsa_key

HEALED_S_MAX = 5.0
MEMBER, RIVAL = "member", "rival"


class Altered:
    """Something with some of its parts exchanged; all else is as it was."""

    def __init__(self, original: object, **dependencies: object) -> None:
        self._original = original
        self._dependencies = dependencies

    def __getattr__(self, name: str) -> Any:
        return self._dependencies[name] if name in self._dependencies else getattr(self._original, name)


def state_of(order: Order) -> Literal["open", "cancelled", "filled"]:
    """The engine's status in the words of the proof."""
    if order.status != "ended":
        return "open"
    return "filled" if order.reason == "filled" else "cancelled"


def truths_of(
    exchange: Exchange, account: str, name_of: Callable[[Order], str] = lambda order: order.client_order_id
) -> list[Truth]:
    """Every order that an exchange of the shared engine ever accepted of an account; `name_of` finds our id of it."""
    return [
        Truth(name_of(one), one.order_id, state_of(one), one.price, one.initial, one.filled)
        for one in exchange.ledger.orders_of(account)
    ]


def net_of(exchange: Exchange, account: str, symbol: str) -> int:
    """The position of an account there."""
    position = exchange.state.accounts[account].positions.get(symbol)
    return position.net if position is not None else 0


class Act(Enum):
    """What a request wants of the venue."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    AMEND = "amend"


class Asked(NamedTuple):
    """What a request asks for: of which order (our id for a new one, else the venue's), and in which words."""

    act: Act
    order_id: str
    content: str = ""


class Truth(NamedTuple):
    """An order as the venue really has it. Numbers are scaled as the instrument's are."""

    client_order_id: str
    venue_order_id: str
    state: Literal["open", "cancelled", "filled"]
    price: int
    size: int
    filled: int


class Pace(NamedTuple):
    """Time-outs: the connector's for a request and for reads that lag, and how long reads really lag."""

    request_timeout_ms: int
    read_lag_ms: int
    venue_lag_ms: int


class VenueUnderTest(Protocol):
    """A venue's local server, and how to read what goes there. `start` once, `stop` at the end. `window_s` is how long
    the windows are in which it counts requests, 0 where it has buckets; `healed_s_max` how long healing may take."""

    name: str
    use: str
    actions: tuple[str, ...]
    ears: tuple[str, ...]
    window_s: float
    healed_s_max: float
    port: int
    rival: Rival

    def listen(self, connector: Connector) -> Connector: ...
    async def start(self, directory: Path, pace: Pace) -> None: ...
    async def stop(self) -> None: ...
    def settings(self, front_port: int, pace: Pace) -> dict[str, object]: ...
    def asked(self, call: Call) -> Asked | None: ...
    def is_look_up(self, call: Call) -> bool: ...
    def refusal(self, act: Act) -> Answer: ...
    def too_many(self) -> Answer: ...
    def orders(self) -> list[Truth]: ...
    def net(self, symbol: str) -> int: ...


class Rival:
    """Somebody else at an exchange of the shared engine, who trades when told to."""

    def __init__(self, exchange: Exchange, publish: Callable[[], None]) -> None:
        self._exchange = exchange
        self._publish = publish

    def trade(self, venue_order_id: str, size: int) -> None:
        """Take `size` of a resting order."""
        order = self._exchange.ledger.orders[venue_order_id]
        side: Literal["bid", "ask"] = "ask" if order.side == "bid" else "bid"
        self._place(order.market_id, side, order.price, size=size)

    def offer(self, symbol: str, price: int, size: int) -> None:
        """Rest an ask that a bid will meet."""
        self._place(symbol, "ask", price, size=size)

    def _place(self, symbol: str, side: Literal["bid", "ask"], price: int, *, size: int) -> None:
        exchange = self._exchange
        if RIVAL not in exchange.state.accounts:
            cash = exchange.state.markets[symbol].spec.cash_account
            base = exchange.state.markets[symbol].spec.base
            exchange.add_account(RIVAL, {cash: 10**15} | ({base: 10**12} if base else {}), internal=True)
        request = OrderRequest(account=RIVAL, market_id=symbol, side=side, price=price, size=size)
        answer = exchange.submit(request, time.time_ns())
        if isinstance(answer, Rejection):
            raise AssertionError(f"the rival's order was refused: {answer}")
        self._publish()


class Kalshi:
    """The local Kalshi, in this process."""

    name = "kalshi"
    use = "connectors.kalshi.plugin"
    actions = ("submit", "cancel", "amend", "batch")
    ears = ("stream", "look-ups")
    window_s = 0.0
    healed_s_max = HEALED_S_MAX
    port = 0

    def listen(self, connector: Connector) -> Connector:
        """The connector as it is: requests name our ids."""
        return connector

    async def start(self, directory: Path, pace: Pace) -> None:
        """Open its port, with quiet markets and reads that lag."""
        directory.mkdir()
        keep_rsa_key(directory)
        options = SandboxOptions(directory=directory, markets=1, speed=0, read_lag_ms=pace.venue_lag_ms)
        self._sandbox = KalshiSandbox(options)
        self._info = await self._sandbox.start()
        self.port = urlsplit(self._info.rest_url).port or 0
        self.rival = Rival(self._exchange, self._sandbox.venue.publish_events)

    async def stop(self) -> None:
        """Close its port."""
        await self._sandbox.stop()

    def settings(self, front_port: int, pace: Pace) -> dict[str, object]:
        """The connector's settings, with its addresses moved to the front."""
        return {
            "rest_url": self._info.rest_url.replace(f":{self.port}/", f":{front_port}/"),
            "ws_url": self._info.ws_url.replace(f":{self.port}/", f":{front_port}/"),
            "key_id": self._info.ed25519_key_id,
            "private_key_path": self._info.ed25519_private_key_path,
            "markets": ["*"],
            "request_timeout_ms": pace.request_timeout_ms,
            "read_lag_ms": pace.read_lag_ms,
        }

    def asked(self, call: Call) -> Asked | None:
        """What a write asks for, None for every other request."""
        path = call.target.partition("?")[0]
        _, found, rest = path.partition("/portfolio/events/orders")
        if not found:
            return None
        words = rest.strip("/").split("/")
        if call.method == "DELETE":
            return Asked(Act.CANCEL, words[0])
        fields = msgspec.json.decode(call.body)
        if words == [""]:
            name = fields.pop("client_order_id")
            return Asked(Act.SUBMIT, name, repr(sorted(fields.items())))
        return Asked(Act.AMEND, words[0], repr(sorted(fields.items())))

    def is_look_up(self, call: Call) -> bool:
        """Whether a read shows what became of an order."""
        return call.method == "GET" and "/portfolio/orders" in call.target

    def refusal(self, act: Act) -> Answer:
        """A no in the venue's own words: nothing was done."""
        code = "exchange_is_paused" if act is Act.CANCEL else "insufficient_balance"
        status = 409 if act is Act.CANCEL else 400
        return Answer.of(status, msgspec.json.encode({"error": {"code": code, "message": code.replace("_", " ")}}))

    def too_many(self) -> Answer:
        """The limiter's answer."""
        return Answer.of(429, b'{"error":"too many requests"}')

    def orders(self) -> list[Truth]:
        """Every order of ours that it ever accepted."""
        return truths_of(self._exchange, MEMBER)

    def net(self, symbol: str) -> int:
        """Our position."""
        return net_of(self._exchange, MEMBER, symbol)

    @property
    def _exchange(self) -> Exchange:
        return self._sandbox.venue.exchange
