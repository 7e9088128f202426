"""Stand-ins for network, time and gate, for tests of every venue: scripted responses, recorded requests."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from connectors.transport.errors import NotSent
from connectors.transport.ports import CloseCause, CloseReason, HttpRequest, HttpResponse, OnMessage
from framework.domain.instruments import instrument_id
from framework.domain.intents import Intent, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.venue import LastWord, nothing_against
from framework.domain.verdicts import Approved

START_NS = 1_781_159_360_000_000_000

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
        """Answer `method path` with these, the last one again and again. `path` has no query, and may leave out the
        two parts of a prefix, as in "/trade-api/v2/markets"."""
        self._answers[(method, path)] = list(answers)

    def targets(self, method: str = "GET") -> list[str]:
        return [request.target for request in self.requests if request.method == method]

    async def send(
        self, request: HttpRequest, *, timeout_ms: int, last_word: LastWord = nothing_against
    ) -> HttpResponse:
        if (reason := last_word()) is not None:
            raise NotSent(reason)
        self.requests.append(request)
        path = request.target.partition("?")[0]
        below = "/" + "/".join(path.split("/")[3:])
        answers = self._answers.get((request.method, path)) or self._answers.get((request.method, below))
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


def new_order(**changes: Any) -> NewOrder:
    values: dict[str, Any] = {
        "strategy": "mm",
        "instrument": instrument_id("tide", "BTC-USD"),
        "side": Side.BUY,
        "price": Price(5600),
        "size": Size(1000),
    }
    return NewOrder(**(values | changes))


def approved(intent: Intent, client_order_id: str = "tg-1", *, venue: str = "tide") -> Approved:
    return Approved(
        intent=intent,
        venue=venue,
        client_order_id=client_order_id,
        request_kind=RequestKind.NEW,
        ts_ns=START_NS,
    )


def order(**changes: Any) -> Order:
    values: dict[str, Any] = {
        "client_order_id": "tg-1",
        "venue": "tide",
        "strategy": "mm",
        "instrument": instrument_id("tide", "BTC-USD"),
        "side": Side.BUY,
        "price": Price(5600),
        "size": Size(1000),
        "venue_order_id": "v1",
        "created_ns": START_NS,
    }
    return Order(**(values | changes))
