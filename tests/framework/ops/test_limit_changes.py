"""Limits that an operator changes while the daemon runs, on a whole core: at once or after a second word; durable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.assembly import CoreSettings, assemble
from framework.domain.account_events import LimitChanged, Scope, TradingState, TradingStateChanged
from framework.domain.operator_requests import Answer, SetLimit, ShowLimits
from framework.domain.verdicts import RefusalCode
from framework.ops.operator_commands import Operator, OperatorDependencies
from framework.state.accounts import Accounts
from framework.state.books import Books
from risk.checks.max_order_size import MaxOrderSize
from tests.support.world import MARKET, VENUE, RecordingWatcher, Scribe, World

NAME, KEY = "max_order_size", "max_size"
S = 1_000_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A core whose largest order is 20 contracts."""
    made = World(tmp_path, checks=[(NAME, MaxOrderSize.model_validate({KEY: "20"}))])
    made.start()
    yield made
    made.close()


@pytest.fixture
def operator(world: World) -> Operator:
    """The hand of a person on it."""
    return Operator(
        OperatorDependencies(
            kernel=world.kernel,
            clock=world.clock,
            reconcilers=lambda: {VENUE: world.reconciler},
            strategies=["scribe"],
            wait_durable=world.recorder.wait_durable,
        )
    )


def to(value: str, *, confirm: str = "") -> SetLimit:
    """The request for another largest order."""
    return SetLimit(check=NAME, key=KEY, value=value, reason="drill", confirm=confirm)


def refused_as(world: World, scribe: Scribe, size: int) -> RefusalCode | None:
    """Why the gate refuses an order of so many contracts, None when it lets it pass."""
    refusal = world.buy(scribe, size=size).refusal
    return None if refusal is None else refusal.code


def changes(world: World) -> list[LimitChanged]:
    """What the journal has of changed limits."""
    return [one.record.body for one in world.entries() if isinstance(one.record.body, LimitChanged)]


async def test_limit_when_it_becomes_stricter_then_it_counts_from_the_next_order_on(
    world: World, operator: Operator
) -> None:
    scribe = world.add()
    assert refused_as(world, scribe, 20) is None
    answer = await operator.answer(to("5"))
    assert answer.is_ok
    assert answer.lines[0].startswith(f"checks.{NAME}.settings.{KEY} is 5 from now on")
    assert refused_as(world, scribe, 6) is RefusalCode.ORDER_SIZE_MAX
    assert refused_as(world, scribe, 5) is None
    (row,) = [row for row in scribe.desk.limits() if row.key == KEY]
    assert (row.value, row.configured, row.by, row.reason) == ("5", "20", "operator", "drill")


async def test_limit_when_it_may_let_more_pass_then_nothing_changes_before_the_second_word(
    world: World, operator: Operator
) -> None:
    scribe = world.add()
    first = await operator.answer(to("50"))
    assert not first.is_ok
    assert changes(world) == []
    assert refused_as(world, scribe, 21) is RefusalCode.ORDER_SIZE_MAX
    word = first.data["confirm"]
    assert f"--confirm {word}" in first.lines[1]
    assert (await operator.answer(to("50", confirm=word))).is_ok
    assert refused_as(world, scribe, 50) is None
    again = await operator.answer(to("60", confirm=word))
    assert (again.is_ok, len(changes(world))) == (False, 1)


async def test_limit_when_the_second_word_is_late_or_for_another_change_then_nothing_is_done(
    world: World, operator: Operator
) -> None:
    late = (await operator.answer(to("50"))).data["confirm"]
    world.clock.advance(60 * S)
    for word, wanted in ((late, "50"), ("0000", "50"), ((await operator.answer(to("50"))).data["confirm"], "51")):
        answer = await operator.answer(to(wanted, confirm=word))
        assert not answer.is_ok
        assert "ask again without it" in answer.lines[0]
    assert changes(world) == []


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (SetLimit(check=NAME, key=KEY, value="5", reason=" "), "say why, it is recorded"),
        (SetLimit(check=NAME, key="max_sise", value="5", reason="drill"), 'did you mean "max_size"'),
        (SetLimit(check=NAME, key=KEY, value="NaN", reason="drill"), "is no value of TOML"),
        (ShowLimits("max_order_sise"), 'did you mean "max_order_size"'),
    ],
)
async def test_limit_when_it_can_not_be_asked_for_then_one_line_says_why(
    world: World, operator: Operator, request_: SetLimit | ShowLimits, line: str
) -> None:
    answer = await operator.answer(request_)
    assert not answer.is_ok
    assert line in answer.lines[0]
    assert changes(world) == []


async def test_limit_when_it_is_so_already_then_nothing_is_recorded(world: World, operator: Operator) -> None:
    assert await operator.answer(to("20")) == Answer(
        is_ok=True, lines=(f"checks.{NAME}.settings.{KEY} is 20 already: nothing was done",)
    )
    assert changes(world) == []


async def test_limit_when_the_journal_is_folded_again_then_the_next_run_keeps_to_it(
    world: World, operator: Operator
) -> None:
    await operator.answer(to("5"))
    folded = Accounts()
    for entry in world.entries():
        folded.apply(entry.record.body, entry.record.now_ns)  # type: ignore[arg-type]
    for accounts in (folded, Accounts.from_snapshot(world.accounts.to_snapshot())):
        core = assemble(
            CoreSettings(venues=[VENUE], checks=world.core.settings.checks),
            clock=world.clock,
            accounts=accounts,
            books=Books(),
            next_client_order_id=lambda: "t-2-1",
            recorder=world.recorder,
            watcher=RecordingWatcher(),
            timers=world.timers,
            on_journal_failure=lambda _: None,
            log=lambda *_, **__: None,
        )
        assert [row.value for row in core.limits.rows()] == ["5"]
        assert "the configuration has 20" in core.limits.notes[0]


def test_state_when_it_is_set_then_each_strategy_hears_of_it_and_sees_what_counts_for_it(world: World) -> None:
    scribe = world.add()
    seen: list[TradingState] = []
    scribe.chores["state"] = lambda: seen.append(scribe.desk.state(MARKET))
    for scope, target, state in (
        (Scope.STRATEGY, "scribe", TradingState.REDUCING),
        (Scope.GLOBAL, "", TradingState.HALTED),
        (Scope.STRATEGY, "another", TradingState.HALTED),
        (Scope.GLOBAL, "", TradingState.ACTIVE),
    ):
        world.kernel.publish(TradingStateChanged(scope=scope, target=target, state=state, reason="drill", ts_recv=1))
    assert seen == [TradingState.REDUCING, TradingState.HALTED, TradingState.HALTED, TradingState.REDUCING]
