"""Funds that leave an account on an operator's word: recorded before the first byte leaves, sent once, recorded again.

Nothing else of the daemon can do that: what signs a move is made for it, and closed after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from framework.domain.account_events import FundMoveReported
from framework.domain.errors import (
    AccountRefused,
    JournalError,
    OutcomeUnknown,
    RefusedByVenue,
    Retryable,
    TidegateError,
)
from framework.domain.operator_requests import Answer, MoveFunds, ShowFundMove
from framework.domain.ports import Clock
from framework.domain.venue import FundMove, FundMover, FundMoveState, FundVerb, SignedMove
from framework.engine.kernel import Kernel
from framework.runtime.failpoints import reach

LOOK = "look at the account's history at the venue"


class FundMoves:
    """Serves an operator's `MoveFunds` and `ShowFundMove`.

    `make` makes what moves the funds of a venue, by its name; it raises `TidegateError` for a venue that is not
    configured, does not allow it, or does not have it. `wait_durable` returns once everything recorded is durable.
    """

    def __init__(
        self,
        kernel: Kernel,
        clock: Clock,
        *,
        make: Callable[[str], FundMover],
        wait_durable: Callable[[], Awaitable[None]],
    ) -> None:
        self._kernel = kernel
        self._clock = clock
        self._make = make
        self._wait_durable = wait_durable

    async def move(self, request: MoveFunds) -> Answer:
        """Move funds once. An answer that is not ok says whether something may have left. Raises `JournalError` when
        what became of it can't be recorded."""
        if request.flaw:
            return _refused(request.flaw)
        try:
            async with self._mover(request.venue, request.verb) as (mover, verb):
                return await self._move(mover, verb, request)
        except JournalError:
            raise
        except TidegateError as e:
            return _refused(str(e))

    async def show(self, request: ShowFundMove) -> Answer:
        """Ask what has become of a move."""
        try:
            async with self._mover(request.venue, request.verb) as (mover, verb):
                return _answer(request.venue, request.verb, await mover.look_up(verb, request.id))
        except TidegateError as e:
            return _refused(str(e))

    async def _move(self, mover: FundMover, verb: FundVerb, request: MoveFunds) -> Answer:
        if (refusal := await self._refuse_again(mover, verb, request)) is not None:
            return refusal
        wanted = FundMove(
            verb=verb, asset=request.asset, amount=request.amount, to=request.to, chain_id=request.chain_id
        )
        signed = await mover.sign(wanted)
        step = self._step(request, signed)
        try:
            await self._record(step)
        except JournalError as e:
            return _refused(f"nothing was moved, it could not be recorded: {e}")
        became = msgspec.structs.replace(step, status="unknown", detail="it broke off")
        try:
            reach("move-before-send")
            state = await mover.send(signed)
            reach("move-after-send")
            became = msgspec.structs.replace(became, status=state.status, detail="", move_id=state.id)
            return _answer(request.venue, request.verb, state)
        except (Retryable, RefusedByVenue, AccountRefused) as e:
            status = "not_sent" if isinstance(e, Retryable) and not e.was_answered else "refused"
            became = msgspec.structs.replace(became, status=status, detail=str(e))
            return _refused(f"nothing was moved: {e}")
        except OutcomeUnknown as e:
            became = msgspec.structs.replace(became, detail=str(e))
            found = await self._found(mover, verb, signed)
            if found is None:
                return _refused(f"it is not known whether {request.amount} {request.asset} left: {e}; {LOOK}")
            became = msgspec.structs.replace(became, status=found.status, detail="", move_id=found.id)
            return _answer(request.venue, request.verb, found)
        finally:
            await self._record(msgspec.structs.replace(became, ts_recv=self._clock.now_ns()))

    def _step(self, request: MoveFunds, signed: SignedMove) -> FundMoveReported:
        now_ns = self._clock.now_ns()
        return FundMoveReported(
            **{name: getattr(request, name) for name in ("venue", "verb", "asset", "amount", "to", "chain_id")},
            # The step tells apart what a clock that was set back would give the same time.
            reference=f"{now_ns}-{self._kernel.step_number}",
            status="requested",
            digest=signed.digest,
            ts_recv=now_ns,
        )

    async def _refuse_again(self, mover: FundMover, verb: FundVerb, request: MoveFunds) -> Answer | None:
        """Refuse what would be the same once more while nobody knows what became of the first: it is looked for, and
        where the venue does not show it an operator must have looked; then it counts as seen."""
        known = self._kernel.dependencies.accounts.fund_moves.values()
        asked = (request.venue, request.verb, request.asset)
        for one in [one for one in known if (one.venue, one.verb, one.asset) == asked]:
            found = await mover.find(verb, one.digest) if one.digest else None
            status, move_id = ("seen", "") if found is None else (found.status, found.id)
            if found is None and not request.is_again:
                return _refused(f"it is not known what became of the {one.text}: {LOOK}, and then say --again")
            ended = msgspec.structs.replace(one, status=status, move_id=move_id, ts_recv=self._clock.now_ns())
            await self._record(ended)
            if found is not None:
                return _refused(f"nothing was sent: the {one.text} had arrived, as {move_id}: {status}")
        return None

    async def _found(self, mover: FundMover, verb: FundVerb, signed: SignedMove) -> FundMoveState | None:
        """A move whose answer is lost, as the venue shows it; None where it does not show it yet, or can't be asked."""
        try:
            return await mover.find(verb, signed.digest) if signed.digest else None
        except (Retryable, RefusedByVenue, AccountRefused):
            return None

    async def _record(self, report: FundMoveReported) -> None:
        self._kernel.publish(report)
        await self._wait_durable()

    @asynccontextmanager
    async def _mover(self, venue: str, verb: str) -> AsyncIterator[tuple[FundMover, FundVerb]]:
        mover = self._make(venue)
        try:
            wanted = next((one for one in mover.verbs if one.value == verb), None)
            if wanted is None:
                has = ", ".join(sorted(one.value for one in mover.verbs)) or "nothing of it"
                raise RefusedByVenue(f"venues.{venue}: its API has no {verb}; it has {has}")
            yield mover, wanted
        finally:
            await mover.close()


def _refused(line: str) -> Answer:
    return Answer(is_ok=False, lines=(line,))


def _answer(venue: str, verb: str, state: FundMoveState) -> Answer:
    """What a venue says of a move, without what would act on a terminal."""
    said = (f"{verb} {state.id} at {venue}: {state.status}", *(f"{name}: {value}" for name, value in state.details))
    lines = tuple("".join(one if one.isprintable() else "?" for one in line) for line in said)
    return Answer(is_ok=True, lines=lines, data=state)
