"""What a pass reports beside doing its work: differences of every kind, their age, and what a lasting one costs."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import (
    ExternalOrderIgnored,
    OrderSnapshot,
    PositionReport,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Size
from framework.reconciliation.differences import DifferenceKind
from tests.support.state_records import listed
from tests.support.world import MARKET, MS, VENUE, Scribe, World

GRACE_NS = 10_000 * MS
LAG_NS = 100 * MS


def hold(world: World, size: int) -> None:
    """What the venue says that we hold."""
    world.gateway.positions_there[:] = [PositionReport(venue=VENUE, instrument=MARKET, size=Size(size), ts_recv=1)]


def foreign(world: World) -> OrderSnapshot:
    """An order that somebody else has at the venue."""
    snapshot = listed("theirs", venue_order_id="v-9", price=20, size=1, at=world.clock.now_ns())
    world.gateway.orders_there["theirs"] = snapshot
    return snapshot


def state(world: World) -> TradingState:
    return world.accounts.trading.state(strategy="scribe", instrument=MARKET, venue=VENUE)


def halts(world: World) -> list[TradingStateChanged]:
    return [
        entry.record.body
        for entry in world.entries()
        if isinstance(entry.record.body, TradingStateChanged) and entry.record.body.state is TradingState.HALTED
    ]


async def passes(world: World, *, over_ns: int, count: int = 4) -> None:
    """Several passes, spread over a time."""
    for _ in range(count):
        world.clock.advance(over_ns // count)
        await world.reconciler.once()


async def test_position_when_it_differs_for_less_than_the_limit_then_trading_goes_on(world: World) -> None:
    hold(world, 3)
    await world.reconciler.once()
    await passes(world, over_ns=GRACE_NS - 100 * MS)
    assert state(world) is TradingState.ACTIVE


async def test_position_when_it_differs_for_longer_than_the_limit_then_its_market_is_halted_once(world: World) -> None:
    hold(world, 3)
    await world.reconciler.once()
    await passes(world, over_ns=GRACE_NS)
    await passes(world, over_ns=GRACE_NS)

    assert state(world) is TradingState.HALTED
    (halt,) = halts(world)
    assert (halt.scope, halt.target) == (Scope.INSTRUMENT, MARKET)
    assert halt.reason.startswith("reconcile: venue 3, here 0; ")


async def test_position_when_somebody_resumes_knowing_better_then_the_same_difference_halts_no_more(
    world: World,
) -> None:
    hold(world, 3)
    await world.reconciler.once()
    await passes(world, over_ns=GRACE_NS)
    world.kernel.publish(
        TradingStateChanged(
            scope=Scope.INSTRUMENT, target=MARKET, state=TradingState.ACTIVE, reason="a gift", ts_recv=1
        )
    )
    await passes(world, over_ns=2 * GRACE_NS)
    assert state(world) is TradingState.ACTIVE

    hold(world, 4)
    await world.reconciler.once()
    await passes(world, over_ns=GRACE_NS)
    assert state(world) is TradingState.HALTED


async def test_position_when_its_market_is_halted_already_then_it_is_not_halted_again(world: World) -> None:
    world.kernel.publish(
        TradingStateChanged(scope=Scope.INSTRUMENT, target=MARKET, state=TradingState.HALTED, reason="x", ts_recv=1)
    )
    hold(world, 3)
    await world.reconciler.once()
    await passes(world, over_ns=GRACE_NS)
    assert len(halts(world)) == 1


async def test_position_when_it_differs_then_the_next_pass_is_soon_and_its_drift_is_shown(world: World) -> None:
    hold(world, 3)
    await world.reconciler.once()
    assert world.reconciler.drift == {MARKET: 3}
    hold(world, 0)
    await world.reconciler.once()
    assert world.reconciler.drift == {}


async def test_external_order_when_it_stays_then_it_is_reported_at_each_pass_and_never_halts(world: World) -> None:
    foreign(world)
    await world.reconciler.once()
    await passes(world, over_ns=2 * GRACE_NS)

    assert [[one.kind for one in found] for found in world.passes] == [[DifferenceKind.EXTERNAL_ORDER]] * 5
    assert len({one.since_ns for found in world.passes for one in found}) == 1
    assert state(world) is TradingState.ACTIVE


async def test_external_order_when_the_venue_lists_it_as_ended_then_it_is_gone(world: World) -> None:
    snapshot = foreign(world)
    await world.reconciler.once()
    world.gateway.orders_there["theirs"] = msgspec.structs.replace(snapshot, is_open=False)
    world.clock.advance(LAG_NS + 1)

    await world.reconciler.once()

    assert world.reconciler.external_orders == ()


@pytest.mark.parametrize("is_ignored", [False, True])
async def test_external_order_when_the_venue_lists_it_nowhere_then_two_look_ups_end_it(
    world: World, is_ignored: bool
) -> None:
    foreign(world)
    await world.reconciler.once()
    if is_ignored:
        world.kernel.publish(ExternalOrderIgnored(venue=VENUE, venue_order_id="v-9", reason="mine", ts_recv=1))
    world.gateway.orders_there.clear()
    world.clock.advance(LAG_NS + 1)

    await world.reconciler.once()
    assert len(world.accounts.external_orders(VENUE, ignored=is_ignored)) == 1
    await world.reconciler.once()

    assert world.accounts.external_orders(VENUE, ignored=is_ignored) == ()


async def test_external_order_when_it_was_listed_within_the_read_lag_then_its_absence_is_not_asked_about(
    world: World,
) -> None:
    foreign(world)
    await world.reconciler.once()
    world.gateway.orders_there.clear()

    await world.reconciler.once()

    assert world.gateway.looked_up == []


async def test_pass_when_it_books_fills_that_were_missing_then_it_says_so_once(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle)
    world.kernel.publish(world.listing(handle))
    world.gateway.fills_there.append(world.fill(handle, 4))
    hold(world, 4)
    world.clock.advance(LAG_NS + 1)

    (fills,) = await world.reconciler.once()
    assert (fills.kind, fills.venue_word) == (DifferenceKind.FILLS, "1 fill, net 4 (f1)")
    assert await world.reconciler.once() == ()
    assert world.accounts.positions.account(MARKET).size == 4


async def test_dry_run_when_things_differ_then_it_reports_and_changes_nothing(world: World) -> None:
    world.gateway.read_lag_ms = 1
    foreign(world)
    hold(world, 3)
    before, digest = len(world.entries()), world.accounts.digest()

    found = await world.reconciler.dry_run()

    assert {one.kind for one in found} == {DifferenceKind.EXTERNAL_ORDER, DifferenceKind.POSITION}
    assert (len(world.entries()), world.accounts.digest()) == (before, digest)
    assert (world.passes, world.reconciler.differences) == ([], ())


async def test_settled_when_a_position_only_just_differs_then_a_second_pass_decides(world: World) -> None:
    world.gateway.read_lag_ms = 1
    hold(world, 3)

    assert await world.reconciler.confirmed_differences() == ()

    assert len(world.passes) == 2


async def test_settled_when_all_agrees_then_one_pass_is_enough(world: World) -> None:
    assert await world.reconciler.confirmed_differences() == ()
    assert len(world.passes) == 1


def test_state_of_a_scope_when_asked_then_only_that_scope_counts(world: World) -> None:
    world.kernel.publish(
        TradingStateChanged(scope=Scope.GLOBAL, target="", state=TradingState.HALTED, reason="x", ts_recv=1)
    )
    trading = world.accounts.trading
    assert trading.is_set(Scope.GLOBAL, "", TradingState.HALTED)
    assert not trading.is_set(Scope.INSTRUMENT, InstrumentId("tide:A"), TradingState.HALTED)
