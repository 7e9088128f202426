"""What can become of a request: one short script each. A script has the strategy ask, and decides what the venue hears
and what the daemon hears of it. When it returns, the world is whole again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from framework.domain.numbers import Price, Size
from framework.domain.verdicts import Approved
from tests.proofs.ambiguity.front import Answer, Call
from tests.proofs.ambiguity.venues import Act, Pace
from tests.proofs.ambiguity.world import LOOK_S, Wish, World

SIZE = Size(1000)
SIZE_AMENDED = Size(1500)
SIZE_TRADED = 400
PRICE_NEW, PRICE_OLD = 3000, 5000
PRICE_STEP = 100
BATCH_NEW = 3
BATCH_CANCELS = 2
REQUESTS_MAX = BATCH_NEW + 2 * BATCH_CANCELS
WAIT_S = 5.0
REACHED_S_MAX = 60.0


class Stage:
    """One cell's play: the orders, the act that is spoilt, and the seeded dice."""

    def __init__(self, world: World, action: str, *, is_muted: bool, pace: Pace, dead_s: float, seed: int) -> None:
        self.world = world
        self.action = action
        self.is_muted = is_muted
        self.pace = pace
        self.dead_s = dead_s
        self.rng = random.Random(seed)
        self.act = Act(action) if action != "batch" else self.rng.choice((Act.SUBMIT, Act.CANCEL))
        self.target = ""
        self.reached_s = 0.0
        self._old: list[str] = []
        self._count = {"batch": BATCH_CANCELS if self.act is Act.CANCEL else BATCH_NEW}.get(action, 1)
        self._favourite = self.rng.randrange(self._count)
        self._caught: list[Call] = []

    async def prepare(self) -> None:
        """Have the venue hold the orders that the act is about. A budget begins empty: wait for what a cell needs."""
        await self.until(lambda: self.world.room() >= REQUESTS_MAX, "the rate budget leaves no room")
        count = {"submit": 0, "batch": BATCH_CANCELS}.get(self.action, 1)
        favourite = -1 if self.act is Act.SUBMIT else self._favourite
        self.world.do(lambda: self._old.extend(self._place_some(PRICE_OLD, count, favourite)))
        await self.until(lambda: not self.world.disagreement(), "the orders did not come to rest")
        if self.is_muted:
            self.world.front.mute()

    def ask(self) -> None:
        """Have the strategy ask for the act; a batch asks for several orders and cancels in one hook."""
        self.world.do(self._ask)

    def ask_twins(self) -> list[str]:
        """Have the strategy place two orders in one hook that nothing but our ids tells apart."""
        names: list[str] = []
        self.world.do(lambda: names.extend(self._place(PRICE_NEW) for _ in range(2)))
        return names

    async def caught(self) -> Call:
        """Have the strategy ask, and hold its request before the venue has it."""
        caught = self.world.front.trap(self._is_target)
        self.ask()
        await self.until(caught.done, "the request did not leave")
        call = caught.result()
        self._caught.append(call)
        return call

    def release(self) -> None:
        """Let go of what was held."""
        for call in self._caught:
            call.released.set()

    def ask_end(self) -> None:
        """Have the strategy ask for the end of the order, too."""
        self.world.do(lambda: self._cancel(self.target))

    async def trade(self, size: int) -> None:
        """Somebody takes `size` of the order. While the stream is heard, return when the daemon has the fill."""
        await self.until(self._is_best, f"{self.target} is not the best of {self.world.venue.orders()}")
        real = self.world.truth_of(self.target)
        assert real is not None
        self.world.venue.rival.trade(real.venue_order_id, size)
        if not self.is_muted:
            filled = real.filled + size
            await self.until(lambda: self.world.order(self.target).filled == filled, "the stream did not tell the fill")

    def offer(self, size: int) -> None:
        """Somebody rests an ask that the order will meet."""
        self.world.venue.rival.offer(self.world.symbol, self.world.order(self.target).price, size)

    async def wait(self, timeouts: float) -> None:
        """Let this many of the daemon's request time-outs pass."""
        await asyncio.sleep(timeouts * self.pace.request_timeout_ms / 1000)

    async def reached(self) -> None:
        """Return when the daemon has reached the front again, and keep how long that took."""
        started, count = time.monotonic(), len(self.world.front.calls)
        async with asyncio.timeout(REACHED_S_MAX):
            while len(self.world.front.calls) == count:  # noqa: ASYNC110 - the front keeps a list, and rings no bell
                await asyncio.sleep(LOOK_S)
        self.reached_s = time.monotonic() - started

    def chance(self) -> bool:
        """Heads or tails."""
        return self.rng.random() < 0.5

    def _ask(self) -> None:
        if self.action == "batch":
            favourite = self._favourite if self.act is Act.SUBMIT else -1
            placed = self._place_some(PRICE_NEW, BATCH_NEW, favourite)
            for name in self._old:
                self._cancel(name)
            self.target = (placed if self.act is Act.SUBMIT else self._old)[self._favourite]
        elif self.act is Act.SUBMIT:
            (self.target,) = self._place_some(PRICE_NEW, 1, 0)
        else:
            (self.target,) = self._old
            (self._cancel if self.act is Act.CANCEL else self._amend)(self.target)

    def _place_some(self, price: int, count: int, favourite: int) -> list[str]:
        """Place orders at prices of their own; the favourite's is the best, so that it trades before the others."""
        return [self._place(price + PRICE_STEP * (count if i == favourite else i)) for i in range(count)]

    def _place(self, price: int) -> str:
        puppet = self.world.puppet
        handle = puppet.buy(puppet.desk.instruments[0], Price(price), SIZE)
        assert handle.is_approved, handle.verdict
        self.world.wishes[handle.client_order_id] = Wish(handle, SIZE, SIZE)
        return handle.client_order_id

    def _cancel(self, name: str) -> None:
        wish = self.world.wishes[name]
        verdict = wish.handle.cancel()
        assert isinstance(verdict, Approved), verdict
        self.world.wishes[name] = wish._replace(is_ending=True)

    def _amend(self, name: str) -> None:
        wish = self.world.wishes[name]
        order = self.world.order(name)
        verdict = wish.handle.amend(Price(order.price + PRICE_STEP), SIZE_AMENDED)
        assert isinstance(verdict, Approved), verdict
        self.world.wishes[name] = wish._replace(size_max=SIZE_AMENDED)

    def _is_target(self, call: Call) -> bool:
        asked = self.world.venue.asked(call)
        if asked is None or asked.act is not self.act:
            return False
        return asked.order_id in (self.target, self.world.order(self.target).venue_order_id)

    def _is_best(self) -> bool:
        """Whether nothing of ours rests at a better price than the order, so that it trades first."""
        live = [order for order in self.world.venue.orders() if order.state == "open"]
        return max(live, key=lambda order: order.price).client_order_id == self.target

    async def until(self, condition: Callable[[], object], what: str, *, wait_s: float = WAIT_S) -> None:
        """Return when a condition holds. Raises `AssertionError` when it does not in time."""
        try:
            async with asyncio.timeout(wait_s):
                while not condition():  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            known = self.world.accounts.orders.get(self.target)
            state = "" if known is None else f"{known.status.value} ({known.reason})"
            calls = self.world.front.calls[-4:]
            raise AssertionError(f"within {wait_s:g} s: {what}; {self.target} is {state}; last: {calls}") from None


Script = Callable[[Stage], Awaitable[None]]


async def no_send(stage: Stage) -> None:
    """Nothing leaves: the connection is refused for a moment. The stream lives."""
    await stage.world.front.down(spares_stream=True)
    stage.ask()
    await asyncio.sleep(0.12)
    await stage.world.front.start()


async def lost_ack(stage: Stage) -> None:
    """The venue has it, and its answer is lost."""
    call = await stage.caught()
    await call.forward()
    call.cut()


async def error_after_accept(stage: Stage) -> None:
    """The venue has it, and answers with a server error."""
    call = await stage.caught()
    await call.forward()
    call.tell(_server_error(stage.rng))


async def error_before_accept(stage: Stage) -> None:
    """The venue has not got it, and answers with a server error."""
    call = await stage.caught()
    call.tell(_server_error(stage.rng))


async def too_many(stage: Stage) -> None:
    """429: proved to have had no effect. Where limits are windows, a cancel that meets one leaves when the next window
    begins, and only then the world is whole again."""
    call = await stage.caught()
    call.tell(stage.world.venue.too_many())
    if stage.action != "submit":
        await asyncio.sleep(stage.world.venue.window_s)


async def other_4xx(stage: Stage) -> None:
    """418 with a page that is not the venue's own: proves nothing, whether the venue has it or not."""
    call = await stage.caught()
    if stage.chance():
        await call.forward()
    call.tell(Answer.of(418, b"<html>I am a teapot</html>", "text/html"))


async def reset_in_body(stage: Stage) -> None:
    """The venue has it; the connection is reset in the middle of the answer's body."""
    call = await stage.caught()
    answer = await call.forward()
    await call.tell_part(answer.raw[: len(answer.raw) - len(answer.body) // 2])
    call.cut(is_reset=True)


async def truncated_json(stage: Stage) -> None:
    """The venue has it; the answer is whole HTTP around half of its JSON."""
    call = await stage.caught()
    answer = await call.forward()
    await call.tell_part(answer.with_body(answer.body[: len(answer.body) // 2]).raw)


async def garbled_json(stage: Stage) -> None:
    """The venue has it; the answer's body is noise."""
    call = await stage.caught()
    answer = await call.forward()
    await call.tell_part(answer.with_body(stage.rng.randbytes(len(answer.body))).raw)


async def accepted_late(stage: Stage) -> None:
    """The venue gets it after the daemon's time-out, and within the time that its reads may lag."""
    call = await stage.caught()
    await stage.wait(1)
    await asyncio.sleep(0.4 * stage.pace.read_lag_ms / 1000)
    call.tell(await call.forward())


async def duplicate_ack(stage: Stage) -> None:
    """The answer comes twice."""
    call = await stage.caught()
    answer = await call.forward()
    call.tell(answer)
    call.tell(answer)


async def fill_before_ack(stage: Stage) -> None:
    """Part of the order trades, and the daemon hears of it, before the answer comes. Without a stream it is the
    answer that tells, or that makes the daemon look; of an amended order only the stream can tell, afterwards."""
    call = await stage.caught()
    if stage.act is Act.CANCEL:
        await stage.trade(SIZE_TRADED)
        answer = await call.forward()
    elif stage.is_muted and stage.act is Act.SUBMIT:
        stage.offer(SIZE_TRADED)
        answer = await call.forward()
    else:
        answer = await call.forward()
        await stage.trade(SIZE_TRADED)
    call.tell(answer)
    if stage.act is Act.AMEND:
        stage.world.front.unmute()


async def cancel_versus_fill(stage: Stage) -> None:
    """The whole order trades while the strategy wants its end (or a change)."""
    call = await stage.caught()
    if stage.act is Act.SUBMIT:
        answer = await call.forward()
        stage.ask_end()
        await stage.trade(SIZE)
    else:
        await stage.trade(SIZE)
        answer = await call.forward()
    call.tell(answer)


async def delayed_answer(stage: Stage) -> None:
    """The answer is slow, but comes within the time-out."""
    call = await stage.caught()
    answer = await call.forward()
    await stage.wait(0.6)
    call.tell(answer)


async def late_reject(stage: Stage) -> None:
    """The venue refuses; its answer comes within the time-out, or after it."""
    call = await stage.caught()
    await stage.wait(0.6 if stage.chance() else 1.1)
    call.tell(stage.world.venue.refusal(stage.act))


async def host_dead(stage: Stage) -> None:
    """The host dies with the request at the venue, or on its way there, and comes back after a long time. Healed it is
    when the daemon, which paces its attempts to connect, has reached it again."""
    call = await stage.caught()
    if stage.chance():
        await call.forward()
    await stage.world.front.down()
    await asyncio.sleep(stage.dead_s)
    await stage.world.front.start()
    await stage.reached()


OUTCOMES: Mapping[str, Script] = {
    script.__name__: script
    for script in (
        no_send,
        lost_ack,
        error_after_accept,
        error_before_accept,
        too_many,
        other_4xx,
        reset_in_body,
        truncated_json,
        garbled_json,
        accepted_late,
        duplicate_ack,
        fill_before_ack,
        cancel_versus_fill,
        delayed_answer,
        late_reject,
        host_dead,
    )
}


def _server_error(rng: random.Random) -> Answer:
    status = rng.choice((500, 502, 503, 504))
    if rng.random() < 0.5:
        return Answer.of(status, b"<html>Bad gateway</html>", "text/html")
    return Answer.of(status, b'{"error":{"code":"internal_server_error","message":"internal server error"}}')
