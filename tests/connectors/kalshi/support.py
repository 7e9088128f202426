"""Stand-ins for the network, for time and for the gate: scripted responses, recorded requests."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.client.instruments import InstrumentRegistry, ReadBegan
from connectors.kalshi.markets.instruments import instrument_of, listed_of
from connectors.kalshi.rest.rate_limits import documented_costs, rate_limits, tier_limits
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.market_messages import PriceRange, RestMarket
from connectors.transport.errors import NotSent
from connectors.transport.ports import CloseCause, CloseReason, HttpRequest, HttpResponse, OnMessage
from framework.assembly import OwnBudget
from framework.domain.events import Event
from framework.domain.instruments import FeeModel, FeeSchedule, Instrument
from framework.domain.intents import Intent, NewOrder
from framework.domain.market_events import LimitsDeclared
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.ports import Clock
from framework.domain.rate_limits import RequestKind
from framework.domain.venue import LastWord, nothing_against
from framework.domain.verdicts import Approved

TICKER = "KXTIDE-26NOV21-B200"
START_NS = 1_781_159_360_000_000_000
FEES = FeeSchedule(model=FeeModel.QUADRATIC, taker_rate="0.07", maker_rate="0")

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Never sleeps: the time it was asked to wait is simply over."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("nothing is scheduled any more: the test waits for what can't happen")
        self.elapsed_s += max(timeout, 0)
        return super().select(0)


class LoopClock:
    """A clock that goes with a loop of jumping time."""

    def __init__(self, selector: _JumpingSelector) -> None:
        self._selector = selector
        self.wall_step_ns = 0

    def now_ns(self) -> int:
        return START_NS + self.monotonic_ns() + self.wall_step_ns

    def monotonic_ns(self) -> int:
        return round(self._selector.elapsed_s * 1_000_000_000)


def run_jumping(main: Callable[[LoopClock], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end in a loop whose time jumps from one timer to the next: hours cost nothing."""
    selector = _JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    setattr(loop, "time", lambda: selector.elapsed_s)  # noqa: B010 - replaces a method of one object
    try:
        return loop.run_until_complete(main(LoopClock(selector)))
    finally:
        loop.close()


Answer = tuple[int, bytes] | Exception


class ScriptedHttp:
    """An `HttpTransport` that answers by method and path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.headers: dict[str, str] = {}
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self.is_closed = False
        self.slow_s = 0.0
        """How long each answer is under way: it says what was so when it was asked for."""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answer `method path` (below /trade-api/v2, without query) with these, the last one again and again."""
        self._answers[(method, path)] = list(answers)

    def targets(self, method: str = "GET") -> list[str]:
        return [request.target for request in self.requests if request.method == method]

    async def send(
        self, request: HttpRequest, *, timeout_ms: int, last_word: LastWord = nothing_against
    ) -> HttpResponse:
        if (reason := last_word()) is not None:
            raise NotSent(reason)
        self.requests.append(request)
        path = request.target.partition("?")[0].removeprefix("/trade-api/v2")
        answers = self._answers.get((request.method, path))
        if answers is None:
            raise AssertionError(f"no answer was scripted for {request.method} {path}")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if isinstance(answer, Exception):
            raise answer
        return HttpResponse(answer[0], dict(self.headers), answer[1])

    async def close(self) -> None:
        self.is_closed = True


def answering(method: str, path: str, *answers: Answer) -> ScriptedHttp:
    """A transport with the answers to one kind of request."""
    http = ScriptedHttp()
    http.on(method, path, *answers)
    return http


class ScriptedConnection:
    """A `WebSocketConnection` whose peer is the test."""

    def __init__(self, clock: LoopClock, on_message: OnMessage) -> None:
        self.commands: list[dict[str, Any]] = []
        self.last_received_ns = clock.monotonic_ns()
        self.reply: Callable[[ScriptedConnection, dict[str, Any]], None] = lambda _connection, _command: None
        self._clock = clock
        self._on_message = on_message
        self._end: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    def send(self, data: bytes) -> None:
        if self._end.done():
            raise NotSent("closed")
        command = msgspec.json.decode(data)
        self.commands.append(command)
        asyncio.get_running_loop().call_soon(self.reply, self, command)

    def deliver(self, frame: dict[str, Any] | bytes) -> None:
        """Deliver a frame to our side, as the network would."""
        if self._end.done():
            return
        self.last_received_ns = self._clock.monotonic_ns()
        try:
            data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
            self._on_message(data, self._clock.now_ns(), self._clock.monotonic_ns())
        except Exception as e:  # noqa: BLE001 - the transport's contract: whatever it is, wait_closed reports it
            self.end(CloseReason(cause=CloseCause.HANDLER, code=1011, error=e))

    def ping(self) -> None:
        self.last_received_ns = self._clock.monotonic_ns()

    def end(self, reason: CloseReason) -> None:
        if not self._end.done():
            self._end.set_result(reason)

    async def wait_closed(self) -> CloseReason:
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        self.end(CloseReason(cause=CloseCause.LOCAL, code=1000))


class ScriptedWebSocket:
    """A `WebSocketTransport`: each connect takes the next entry of `script`, an error or a reply function."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.script: list[Exception | Callable[[ScriptedConnection, dict[str, Any]], None]] = []
        self.connections: list[ScriptedConnection] = []
        self.headers: list[dict[str, str]] = []
        self.connected_ns: list[int] = []

    async def connect(
        self,
        target: str,
        headers: tuple[tuple[str, str], ...],
        *,
        on_message: OnMessage,
        timeout_ms: int,
    ) -> ScriptedConnection:
        assert target == "/trade-api/ws/v2"
        assert timeout_ms > 0
        self.headers.append(dict(headers))
        self.connected_ns.append(self._clock.monotonic_ns())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        connection = ScriptedConnection(self._clock, on_message)
        connection.reply = step
        self.connections.append(connection)
        return connection


def key_file(directory: Path) -> Path:
    """A fresh Ed25519 key, readable by its owner only."""
    path = directory / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


def settings_for(directory: Path, **changes: Any) -> KalshiSettings:
    """Settings of a test account; the highest tier, so that no read has to wait."""
    values: dict[str, Any] = {
        "rest_url": "http://127.0.0.1:1/trade-api/v2",
        "ws_url": "ws://127.0.0.1:1/trade-api/ws/v2",
        "key_id": "a4a6f7b0-0000-4000-8000-000000000001",
        "private_key_path": key_file(directory),
        "markets": ("series:KXTIDE",),
        "tier": "prestige",
    }
    return KalshiSettings(**(values | changes))


def tier_budget(settings: KalshiSettings, clock: Clock) -> OwnBudget:
    """A budget with the documented limits of a tier: what the connector assumes at its start."""
    budget = OwnBudget("kalshi", clock=clock)
    limits = rate_limits(tier_limits(settings.tier), documented_costs())
    budget.publish(LimitsDeclared("kalshi", limits, clock.now_ns()))
    return budget


def market(ticker: str = TICKER, **changes: Any) -> RestMarket:
    """A market as REST lists it."""
    values: dict[str, Any] = {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "status": "active",
        "close_time": "2026-06-25T16:00:00Z",
        "open_time": "2026-06-11T05:39:29Z",
        "latest_expiration_time": "2026-06-26T16:00:00Z",
        "price_ranges": (PriceRange("0.0000", "1.0000", "0.0100"),),
    }
    return RestMarket(**(values | changes))


def define(
    registry: InstrumentRegistry, listed: RestMarket, fees: FeeSchedule, *, ts_recv: int, began: ReadBegan | None = None
) -> tuple[Event, ...]:
    """Define a market as it was read."""
    return registry.define(listed_of(listed, venue="kalshi", fees=fees), ts_recv=ts_recv, began=began)


def instrument(shard: int = 0) -> Instrument:
    return instrument_of(market(exchange_index=shard), venue="kalshi", fees=FEES)


def new_order(**changes: Any) -> NewOrder:
    values: dict[str, Any] = {
        "strategy": "mm",
        "instrument": instrument().id,
        "side": Side.BUY,
        "price": Price(5600),
        "size": Size(1000),
    }
    return NewOrder(**(values | changes))


def approved(intent: Intent, client_order_id: str = "tg-1") -> Approved:
    return Approved(
        intent=intent,
        venue="kalshi",
        client_order_id=client_order_id,
        request_kind=RequestKind.NEW,
        ts_ns=START_NS,
    )


def order(**changes: Any) -> Order:
    values: dict[str, Any] = {
        "client_order_id": "tg-1",
        "venue": "kalshi",
        "strategy": "mm",
        "instrument": instrument().id,
        "side": Side.BUY,
        "price": Price(5600),
        "size": Size(1000),
        "venue_order_id": "97ec18b7-10d3-4557-9de0-8598aad625f0",
        "created_ns": START_NS,
    }
    return Order(**(values | changes))
