"""Trading states that end by themselves, and what an operator asks for without having it done."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import OrderAdopted, Scope, TradingState
from framework.domain.operator_requests import CancelOrders
from framework.ops.operator_commands import Operator
from framework.persistence.journal.restore import fold_record
from framework.state.accounts import Accounts
from tests.framework.ops.test_operator_commands import HALT, foreign, hand, recorded, refused
from tests.support.world import MARKET, VENUE, World


@pytest.fixture
def operator(world: World) -> Operator:
    """The hand of a person on that core."""
    return hand(world)


async def test_halt_when_it_is_for_a_time_then_it_ends_by_itself_also_after_a_restart(
    operator: Operator, world: World
) -> None:
    await operator.answer(msgspec.structs.replace(HALT, for_ms=60_000))
    folded = Accounts()
    for entry in world.entries():
        fold_record(folded, entry.record.body, entry.record.now_ns)
    for accounts in (world.accounts, folded, Accounts.from_snapshot(world.accounts.to_snapshot())):
        assert accounts.trading.over(world.clock.now_ns() + 59_999_999_999) == ()
        (change,) = accounts.trading.over(world.clock.now_ns() + 60_000_000_000)
        assert (change.scope, change.state, change.reason) == (
            Scope.GLOBAL,
            TradingState.ACTIVE,
            "its time is over: drill",
        )
        accounts.apply(change, 1)
        assert accounts.trading.over(world.clock.now_ns() + 60_000_000_000) == ()
        assert accounts.trading.rows() == ()


@pytest.mark.parametrize("wrong", [{"for_ms": -1}, {"for_ms": 10**12}, {"for_ms": 5_000, "state": TradingState.ACTIVE}])
async def test_halt_when_its_time_can_not_be_then_nothing_is_done(
    operator: Operator, world: World, wrong: dict[str, object]
) -> None:
    assert "--for: a halt or a reduce may last up to a year" in await refused(
        operator, msgspec.structs.replace(HALT, **wrong)
    )
    assert world.accounts.trading.rows() == ()


async def test_dry_run_when_asked_then_it_says_what_would_be_done_and_nothing_is_recorded(
    operator: Operator, world: World
) -> None:
    scribe = world.add()
    name = world.buy(scribe).client_order_id
    before = len(world.entries())
    halt = msgspec.structs.replace(HALT, is_dry_run=True)
    would_cancel = f"would cancel {name} of scribe in {MARKET}: recorded"
    for request, lines in (
        (halt, ("everything would be halted", "1 open orders would stay")),
        (msgspec.structs.replace(halt, is_cancelling=True), ("everything would be halted", would_cancel)),
        (CancelOrders(is_all=True, reason="drill", is_dry_run=True), (would_cancel,)),
        (CancelOrders(venue=VENUE, reason="drill", is_dry_run=True), (would_cancel,)),
    ):
        assert (await operator.answer(request)).lines == ("dry run: nothing is done", *lines)
    assert len(world.entries()) == before
    foreign(world)
    answer = await operator.answer(CancelOrders(is_all=True, reason="r", with_external=True, is_dry_run=True))
    assert answer.lines[2] == f"would adopt and cancel v-foreign-1 at {VENUE}"
    assert recorded(world, OrderAdopted) == []
