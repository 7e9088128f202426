"""The daemon sees a kill latch, records it as a halt, and an operator takes it away by hand."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import CancelRequested, OrderAdopted, Scope, TradingState, TradingStateChanged
from framework.domain.errors import JournalError
from framework.domain.intents import CancelOrder
from framework.domain.operator_requests import OPERATOR, Answer, Flatten, Kill, SetTradingState
from framework.domain.verdicts import Approved
from framework.ops.kill_watch import KillWatch, VenueLeft
from framework.ops.operator_commands import Operator, OperatorDependencies
from framework.runtime.kill_latch import EVERYTHING, KillLatch
from framework.runtime.kill_log import KillLog, KillRecord, finished_logs
from tests.framework.ops.test_operator_commands import foreign, recorded
from tests.support.world import MARKET, VENUE, Scribe, World

RESUME = SetTradingState(scope=Scope.GLOBAL, state=TradingState.ACTIVE, reason="looked at it")
RESUME_KILL = SetTradingState(scope=Scope.GLOBAL, state=TradingState.ACTIVE, reason="looked at it", is_kill=True)


def watch_of(world: World) -> KillWatch:
    return KillWatch(world.directory, world.kernel, wait_durable=world.recorder.wait_durable)


@pytest.fixture
def watch(world: World) -> KillWatch:
    """The watch of that core's state directory."""
    return watch_of(world)


@pytest.fixture
def operator(world: World, watch: KillWatch) -> Operator:
    """An operator who can kill."""
    return Operator(
        OperatorDependencies(
            kernel=world.kernel,
            clock=world.clock,
            reconcilers=lambda: {VENUE: world.reconciler},
            strategies=["scribe"],
            wait_durable=world.recorder.wait_durable,
            kill_watch=watch,
        )
    )


def kill(world: World, venue: str = EVERYTHING, by: str = OPERATOR) -> None:
    """What the process beside the daemon does."""
    KillLatch(world.directory).set(venue, by=by, reason="runaway", now_ns=world.clock.now_ns())


def accepted(world: World, scribe: Scribe) -> None:
    """An order of ours that the venue has."""
    world.kernel.publish(world.listing(world.carried(scribe)))


def halts(world: World) -> list[tuple[Scope, str, str, str]]:
    return [(row.scope, row.target, row.reason, row.by) for row in world.accounts.trading.rows()]


def cancels(world: World) -> int:
    approved = [one for one in recorded(world, Approved) if isinstance(one, Approved)]
    return sum(isinstance(one.intent, CancelOrder) for one in approved)


def test_latch_when_another_process_set_it_then_it_is_recorded_once_as_a_halt_and_open_orders_are_cancelled(
    world: World, scribe: Scribe, watch: KillWatch
) -> None:
    accepted(world, scribe)
    foreign(world)
    kill(world, by="guard")

    watch.look()
    watch.look()

    assert halts(world) == [(Scope.GLOBAL, "", "kill: runaway", "guard")]
    assert len(recorded(world, TradingStateChanged)) == 1
    assert len(recorded(world, OrderAdopted)) == 1
    assert cancels(world) == 2
    assert watch.left() == {VENUE: VenueLeft(own=2, external=0)}


def test_latch_when_it_is_of_one_venue_then_that_is_halted(world: World, watch: KillWatch) -> None:
    kill(world, VENUE)
    watch.look()
    assert halts(world) == [(Scope.VENUE, VENUE, "kill: runaway", OPERATOR)]


def test_latch_when_it_is_there_at_the_next_start_then_the_halt_is_recorded_again(
    world: World, watch: KillWatch
) -> None:
    kill(world)
    watch.look()
    watch_of(world).look()
    assert len(recorded(world, TradingStateChanged)) == 2


async def answer(operator: Operator, request: Kill | SetTradingState | Flatten) -> Answer:
    return await operator.answer(request)


async def test_kill_when_an_operator_asks_for_it_then_the_latch_is_set_and_the_answer_says_what_is_left(
    world: World, scribe: Scribe, operator: Operator
) -> None:
    accepted(world, scribe)

    done = await answer(operator, Kill(reason="runaway"))

    assert KillLatch(world.directory).is_set(VENUE)
    assert done.data == {VENUE: VenueLeft(own=1, external=0)}
    assert done.lines == (f"{VENUE}: 1 orders may be open, 0 external ones",)
    assert halts(world) == [(Scope.GLOBAL, "", "kill: runaway", OPERATOR)]


async def test_kill_when_the_venue_is_not_known_then_nothing_is_latched(world: World, operator: Operator) -> None:
    refused = await answer(operator, Kill(venue="kalsi"))
    assert not refused.is_ok
    assert refused.lines[0].startswith('there is no venue "kalsi"')
    assert KillLatch(world.directory).latches() == ()


async def test_resume_when_the_latch_is_set_then_it_is_refused_unless_it_takes_the_latch_away(
    world: World, operator: Operator
) -> None:
    await answer(operator, Kill(reason="runaway"))

    refused = await answer(operator, RESUME)
    assert not refused.is_ok
    assert refused.lines[0].startswith("killed: everything: runaway, by operator.")
    assert "tidegate resume --kill" in refused.lines[0]
    assert KillLatch(world.directory).is_set(VENUE)

    assert (await answer(operator, RESUME_KILL)).lines == ("everything is active",)
    assert not KillLatch(world.directory).is_set(VENUE)
    assert halts(world) == []


@pytest.mark.parametrize(
    "request_",
    [
        SetTradingState(scope=Scope.GLOBAL, state=TradingState.REDUCING, reason="r"),
        SetTradingState(scope=Scope.GLOBAL, state=TradingState.HALTED, reason="r", for_ms=1_000),
        Flatten(scope=Scope.GLOBAL, reason="r"),
        Flatten(scope=Scope.STRATEGY, target="scribe", reason="r"),
    ],
    ids=["reduce", "halt for a time", "flatten", "flatten a strategy"],
)
async def test_request_when_it_would_let_orders_leave_under_the_latch_then_it_is_refused(
    world: World, operator: Operator, request_: SetTradingState | Flatten
) -> None:
    await answer(operator, Kill(reason="runaway"))
    refused = await answer(operator, request_)
    assert not refused.is_ok
    assert refused.lines[0].startswith("killed: everything: runaway, by operator.")
    assert [row[:2] for row in halts(world)] == [(Scope.GLOBAL, "")]


async def test_flatten_when_another_venue_is_latched_then_it_begins(world: World, operator: Operator) -> None:
    KillLatch(world.directory).set("other", by="", reason="", now_ns=1)
    assert (await answer(operator, Flatten(scope=Scope.GLOBAL, reason="r", is_dry_run=True))).is_ok
    KillLatch(world.directory).set(VENUE, by="", reason="", now_ns=1)
    refused = await answer(operator, Flatten(scope=Scope.INSTRUMENT, target=MARKET, reason="r", is_dry_run=True))
    assert refused.lines[0].startswith(f"killed: {VENUE}: ")


async def test_resume_when_it_is_a_dry_run_then_the_latch_stays(world: World, operator: Operator) -> None:
    await answer(operator, Kill(reason="runaway"))
    assert (await answer(operator, msgspec.structs.replace(RESUME_KILL, is_dry_run=True))).is_ok
    assert KillLatch(world.directory).is_set(VENUE)


async def test_resume_when_only_a_venue_is_latched_then_everything_else_resumes_and_the_latch_names_its_venue(
    world: World, operator: Operator
) -> None:
    await answer(operator, Kill(venue=VENUE))
    assert (await answer(operator, RESUME)).is_ok
    refused = await answer(operator, RESUME_KILL)
    assert refused.lines == (f"there is no such kill latch; there is one of --venue {VENUE}",)
    assert KillLatch(world.directory).is_set(VENUE)


async def test_latch_when_it_is_taken_away_with_a_halt_then_that_makes_no_sense(operator: Operator) -> None:
    refused = await answer(
        operator, SetTradingState(scope=Scope.GLOBAL, state=TradingState.HALTED, reason="", is_kill=True)
    )
    assert refused.lines == ("is_kill goes with a resume; `tidegate kill` sets the latch",)


def logged(world: World, *records: KillRecord) -> None:
    """The log of a process that has ended."""
    log = KillLog(world.directory, now_ns=world.clock.now_ns())
    log.write(KillRecord(ts_ns=1, action="kill", by="guard", reason="the daemon is silent"), *records)
    log.close()


def wanted(world: World) -> list[tuple[str, str]]:
    found = [one for one in recorded(world, CancelRequested) if isinstance(one, CancelRequested)]
    return [(one.client_order_id, one.reason) for one in found]


WHY = "kill: the daemon is silent, cancelled by guard beside the daemon"


async def test_log_when_its_process_has_ended_then_our_orders_in_it_are_recorded_once_and_it_is_removed(
    world: World, scribe: Scribe, watch: KillWatch
) -> None:
    accepted(world, scribe)
    (order,) = world.accounts.orders.open()
    named = KillRecord(ts_ns=2, action="cancel", venue=VENUE, venue_order_id=order.venue_order_id)
    foreign_one = KillRecord(ts_ns=2, action="cancel", venue=VENUE, venue_order_id="of another")
    logged(world, named, foreign_one, msgspec.structs.replace(named, outcome="taken"))

    await watch.record_logs()
    await watch.record_logs()

    assert wanted(world) == [(order.client_order_id, WHY)]
    assert list(finished_logs(world.directory)) == []


@pytest.mark.parametrize(("symbol", "count"), [("", 2), (MARKET.partition(":")[2], 2), ("OTHER", 0)])
async def test_log_when_all_orders_of_an_area_were_cancelled_then_those_of_ours_there_are_recorded(
    world: World, scribe: Scribe, watch: KillWatch, symbol: str, count: int
) -> None:
    accepted(world, scribe)
    accepted(world, scribe)
    logged(world, KillRecord(ts_ns=2, action="cancel_all", venue=VENUE, symbol=symbol))
    await watch.record_logs()
    assert len(wanted(world)) == count


async def test_log_when_the_journal_has_failed_then_it_stays(world: World, scribe: Scribe) -> None:
    accepted(world, scribe)

    async def fail() -> None:
        raise JournalError("the disk is full")

    logged(world, KillRecord(ts_ns=2, action="cancel_all", venue=VENUE))
    await KillWatch(world.directory, world.kernel, wait_durable=fail).record_logs()
    assert len(list(finished_logs(world.directory))) == 1
