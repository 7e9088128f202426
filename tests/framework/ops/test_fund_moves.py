"""Funds that leave on an operator's word: recorded before, sent once, recorded after; and everything that stops one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from framework.domain.account_events import FundMoveReported
from framework.domain.errors import (
    AccountRefused,
    ConfigurationError,
    NotSupported,
    OutcomeUnknown,
    RefusedByVenue,
    Retryable,
)
from framework.domain.operator_requests import Answer, MoveFunds, ShowFundMove
from framework.domain.venue import FundMove, FundMover, FundMoveState, FundVerb, SignedMove
from framework.ops.fund_moves import FundMoves
from framework.state.accounts import Accounts
from tests.support.world import VENUE, World

TRANSFER = MoveFunds(venue=VENUE, verb="transfer", asset="USDC", amount="100.5", to="0xab")
WITHDRAW = MoveFunds(venue=VENUE, verb="withdraw", asset="USDC", amount="100.5", chain_id=1)
PENDING = FundMoveState(id="t-1", status="PENDING", is_final=False)
READY = FundMoveState(id="t-1", status="ready", is_final=True, details=(("claim index", "7"),))


class ScriptedMover:
    """A `FundMover` that answers as the test says, and notes what was recorded when it was asked."""

    def __init__(self, recorded: Callable[[], list[FundMoveReported]]) -> None:
        self.verbs = frozenset({FundVerb.TRANSFER, FundVerb.WITHDRAW})
        self.answers: deque[FundMoveState | BaseException] = deque()
        self.asked: list[FundMove | str] = []
        self.recorded_before: list[str] = []
        self.closes = 0
        self.has_digests = False
        self.found: FundMoveState | None = None
        self.find_error: Exception | None = None
        self.on_move: Callable[[], None] = lambda: None
        self._recorded = recorded

    async def sign(self, move: FundMove, /) -> SignedMove:
        return SignedMove(move=move, wire=move, digest="d-1" if self.has_digests else "")

    async def find(self, verb: FundVerb, digest: str, /) -> FundMoveState | None:
        assert digest == "d-1"
        if self.find_error is not None:
            raise self.find_error
        return self.found

    async def send(self, signed: SignedMove, /) -> FundMoveState:
        self.on_move()
        self.recorded_before = [one.status for one in self._recorded()]
        return self._answer(signed.move)

    async def look_up(self, verb: FundVerb, move_id: str, /) -> FundMoveState:
        return self._answer(move_id)

    async def close(self) -> None:
        self.closes += 1

    def _answer(self, asked: FundMove | str) -> FundMoveState:
        self.asked.append(asked)
        answer = self.answers.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Desk:
    """The service over the core of a test, with a venue that moves funds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mover = ScriptedMover(self.recorded)
        self.refusal: Exception | None = None
        self.moves = FundMoves(world.kernel, world.clock, make=self._make, wait_durable=world.recorder.wait_durable)

    def recorded(self) -> list[FundMoveReported]:
        bodies = (entry.record.body for entry in self.world.entries())
        return [body for body in bodies if isinstance(body, FundMoveReported)]

    def open_after_a_restart(self) -> list[str]:
        restored = Accounts.from_snapshot(self.world.accounts.to_snapshot())
        return [one.text for one in restored.fund_moves.values()]

    def _make(self, venue: str) -> FundMover:
        assert venue == VENUE
        if self.refusal is not None:
            raise self.refusal
        return self.mover


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.mark.parametrize("request_", [TRANSFER, WITHDRAW])
async def test_move_when_asked_then_it_is_in_the_journal_before_it_leaves_and_its_answer_after(
    desk: Desk, request_: MoveFunds
) -> None:
    desk.mover.answers.append(PENDING)
    answer = await desk.moves.move(request_)
    assert answer == Answer(is_ok=True, lines=(f"{request_.verb} t-1 at {VENUE}: PENDING",), data=PENDING)
    (asked,) = desk.mover.asked
    assert isinstance(asked, FundMove)
    assert (asked.verb.value, asked.asset, asked.amount) == (request_.verb, "USDC", "100.5")
    assert (asked.to, asked.chain_id) == (request_.to, request_.chain_id)
    assert desk.mover.recorded_before == ["requested"]
    before, after = desk.recorded()
    assert before.reference == after.reference
    assert (after.status, after.move_id, after.amount, after.to) == ("PENDING", "t-1", "100.5", request_.to)
    assert desk.mover.closes == 1


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (RefusedByVenue("insufficient_balance", "HTTP 400"), "refused", "nothing was moved: insufficient_balance"),
        (AccountRefused("HTTP 401"), "refused", "nothing was moved: HTTP 401"),
        (Retryable("no route"), "not_sent", "nothing was moved: no route"),
        (Retryable("HTTP 429", is_rate_limit=True), "refused", "nothing was moved: HTTP 429"),
        (OutcomeUnknown("reset"), "unknown", "it is not known whether 100.5 USDC left: reset; look at the account's"),
    ],
)
async def test_move_when_it_fails_then_answer_and_journal_say_whether_something_may_have_left(
    desk: Desk, error: BaseException, status: str, says: str
) -> None:
    desk.mover.answers.append(error)
    answer = await desk.moves.move(TRANSFER)
    assert not answer.is_ok
    assert answer.lines[0].startswith(says)
    assert [one.status for one in desk.recorded()] == ["requested", status]
    assert len(desk.mover.asked) == 1, "it is never sent again by itself"


@pytest.mark.parametrize("error", [KeyError("defect"), asyncio.CancelledError()])
async def test_move_when_it_breaks_off_then_the_journal_says_that_it_is_not_known(
    desk: Desk, error: BaseException
) -> None:
    desk.mover.answers.append(error)
    with pytest.raises(type(error)):
        await desk.moves.move(TRANSFER)
    assert [one.status for one in desk.recorded()] == ["requested", "unknown"]
    assert desk.mover.closes == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"amount": "1e3"}, "--amount: 1e3 is no amount; write a decimal above 0"),
        ({"amount": "-1"}, "--amount: -1 is no amount"),
        ({"amount": "0.00"}, "--amount: 0.00 is no amount"),
        ({"amount": ""}, "--amount:  is no amount"),
        ({"asset": ""}, "--asset: '' is no asset"),
        ({"asset": "US DC"}, "--asset: 'US DC' is no asset"),
        ({"to": ""}, "--to: '' is no account"),
        ({"to": "0x\n"}, r"--to: '0x\n' is no account"),
    ],
)
async def test_move_when_it_can_not_be_asked_for_then_nothing_is_made_or_recorded(
    desk: Desk, changes: dict[str, str], says: str
) -> None:
    answer = await desk.moves.move(msgspec.structs.replace(TRANSFER, **changes))
    assert not answer.is_ok
    assert answer.lines[0].startswith(says)
    assert (desk.recorded(), desk.mover.asked, desk.mover.closes) == ([], [], 0)


async def test_move_when_the_venue_does_not_have_it_or_it_is_not_allowed_then_one_line_says_so(desk: Desk) -> None:
    desk.mover.verbs = frozenset({FundVerb.TRANSFER})
    answer = await desk.moves.move(WITHDRAW)
    assert answer == Answer(is_ok=False, lines=(f"venues.{VENUE}: its API has no withdraw; it has transfer",))
    for refusal in (NotSupported("no API"), ConfigurationError("not allowed")):
        desk.refusal = refusal
        assert await desk.moves.move(WITHDRAW) == Answer(is_ok=False, lines=(str(refusal),))
    assert desk.recorded() == []


async def test_move_when_it_is_not_known_what_became_of_one_like_it_then_an_operator_must_have_looked(
    desk: Desk,
) -> None:
    desk.mover.answers += [OutcomeUnknown("reset"), PENDING, PENDING, PENDING]
    await desk.moves.move(TRANSFER)
    other = msgspec.structs.replace(TRANSFER, amount="7")
    answer = await desk.moves.move(other)
    assert answer == Answer(
        is_ok=False,
        lines=(
            f"it is not known what became of the transfer of 100.5 USDC at {VENUE} to 0xab: look at the account's "
            "history at the venue, and then say --again",
        ),
    )
    assert (await desk.moves.move(WITHDRAW)).is_ok
    assert (await desk.moves.move(msgspec.structs.replace(other, is_again=True))).is_ok
    assert (await desk.moves.move(other)).is_ok
    statuses = [one.status for one in desk.recorded()]
    assert statuses == ["requested", "unknown", *["requested", "PENDING"], "seen", *["requested", "PENDING"] * 2]


async def test_move_when_one_like_it_is_found_at_the_venue_then_that_is_said_and_nothing_is_sent(desk: Desk) -> None:
    desk.mover.has_digests = True
    desk.mover.answers += [OutcomeUnknown("reset"), PENDING]
    await desk.moves.move(TRANSFER)
    answer = await desk.moves.move(TRANSFER)
    assert "it is not known what became of" in answer.lines[0]
    desk.mover.found = PENDING
    answer = await desk.moves.move(TRANSFER)
    arrived = f"nothing was sent: the transfer of 100.5 USDC at {VENUE} to 0xab had arrived, as t-1: PENDING"
    assert answer == Answer(is_ok=False, lines=(arrived,))
    assert len(desk.mover.asked) == 1
    assert (await desk.moves.move(TRANSFER)).is_ok
    assert [one.digest for one in desk.recorded()] == ["d-1"] * 5


async def test_move_when_its_answer_is_lost_and_the_venue_shows_it_then_it_is_known_at_once(desk: Desk) -> None:
    desk.mover.has_digests, desk.mover.found = True, PENDING
    desk.mover.answers.append(OutcomeUnknown("reset"))
    assert await desk.moves.move(TRANSFER) == Answer(
        is_ok=True, lines=(f"transfer t-1 at {VENUE}: PENDING",), data=PENDING
    )
    assert [(one.status, one.move_id) for one in desk.recorded()] == [("requested", ""), ("PENDING", "t-1")]
    assert desk.open_after_a_restart() == []


@pytest.mark.parametrize("error", [Retryable("no route"), RefusedByVenue("x"), AccountRefused("HTTP 401")])
async def test_move_when_its_answer_is_lost_and_it_can_not_be_looked_for_then_it_stays_unknown(
    desk: Desk, error: Exception
) -> None:
    desk.mover.has_digests, desk.mover.find_error = True, error
    desk.mover.answers.append(OutcomeUnknown("reset"))
    answer = await desk.moves.move(TRANSFER)
    assert answer.lines[0].startswith("it is not known whether 100.5 USDC left: reset; look at the account's")
    assert [one.status for one in desk.recorded()] == ["requested", "unknown"]


async def test_move_when_the_venue_s_words_would_act_on_a_terminal_then_they_are_shown_plain(desk: Desk) -> None:
    desk.mover.answers.append(FundMoveState(id="t-1", status="\x1b[2Jready", is_final=True, details=(("a\nb", "7"),)))
    assert (await desk.moves.move(WITHDRAW)).lines == (f"withdraw t-1 at {VENUE}: ?[2Jready", "a?b: 7")


async def test_move_when_the_daemon_dies_before_its_answer_then_the_next_run_knows_that_it_is_open(desk: Desk) -> None:
    open_before: list[str] = []
    desk.mover.answers.append(PENDING)
    desk.mover.on_move = lambda: open_before.extend(desk.open_after_a_restart())
    await desk.moves.move(WITHDRAW)
    assert open_before == [f"withdraw of 100.5 USDC at {VENUE}"]
    assert desk.open_after_a_restart() == []


async def test_show_when_asked_then_it_says_what_has_become_of_it_with_its_details(desk: Desk) -> None:
    desk.mover.answers += [READY, Retryable("no route")]
    question = ShowFundMove(venue=VENUE, verb="withdraw", id="t-1")
    answer = await desk.moves.show(question)
    assert answer.lines == (f"withdraw t-1 at {VENUE}: ready", "claim index: 7")
    assert await desk.moves.show(question) == Answer(is_ok=False, lines=("no route",))
    assert desk.mover.asked == ["t-1", "t-1"]
    assert desk.mover.closes == 2
