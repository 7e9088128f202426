"""When an order that needs evidence is looked up, and what a look-up proves."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import msgspec
import pytest

from framework.domain.account_events import OrderReport, ReportKind, Scope, TradingState
from framework.domain.errors import Retryable
from framework.domain.intents import CancelOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.domain.terms import VenueTerms
from framework.reconciliation.reconciler import Reconciler
from tests.support import state_records
from tests.support.inquiries import look, report, sent, unknown, working
from tests.support.world import MARKET, MS, Dispatching, Scribe, World, until

LAG_NS = 100 * MS


@pytest.fixture
def carried(world: World) -> set[str]:
    """The orders whose requests may still be answered; the reconciler knows them."""
    names: set[str] = set()
    dependencies = msgspec.structs.replace(world.reconciler._dependencies, is_under_way=names.__contains__)
    world.reconciler = Reconciler(dependencies)
    return names


async def test_request_when_it_is_not_under_way_any_more_then_its_order_is_looked_up_without_waiting_for_an_answer(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    handle = sent(world, scribe)
    carried.add(handle.client_order_id)
    for _ in range(9):
        await look(world, after_ns=1_000 * MS)
    assert world.gateway.looked_up == []

    carried.clear()
    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)

    assert world.gateway.looked_up == [handle.client_order_id]


async def test_read_lag_when_the_order_is_older_than_its_inquiry_then_it_is_measured_from_the_inquiry(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    world.gateway.read_lag_ms = 2_000
    handle = sent(world, scribe)
    carried.add(handle.client_order_id)
    world.clock.advance(9_000 * MS)
    carried.clear()

    await look(world, after_ns=0)
    for _ in range(4):
        await look(world, after_ns=500 * MS)
    assert len(world.gateway.looked_up) >= 2
    assert world.order(handle).status is OrderStatus.SENT

    await look(world, after_ns=500 * MS)
    await look(world, after_ns=500 * MS)
    assert world.order(handle).status is OrderStatus.REJECTED


async def test_amend_when_its_inquiry_is_young_then_old_terms_prove_nothing(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    world.gateway.read_lag_ms = 2_000
    handle = working(world, scribe)
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    world.queue.pop()
    carried.add(handle.client_order_id)
    world.clock.advance(9_000 * MS)
    carried.clear()

    await look(world, after_ns=0)
    await look(world, after_ns=1_900 * MS)
    assert world.order(handle).status is OrderStatus.AMEND_REQUESTED

    await look(world, after_ns=101 * MS)
    assert world.order(handle).status is OrderStatus.WORKING


async def test_look_up_when_the_order_changes_meanwhile_then_its_absence_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    handle = unknown(world, scribe)
    await look(world, after_ns=0)
    await look(world, after_ns=300 * MS)

    world.gateway.meanwhile = lambda: report(world, handle, ReportKind.ACCEPTED, venue_order_id="v-late")
    await look(world, after_ns=300 * MS)

    assert len(world.gateway.looked_up) == 2
    assert world.order(handle).status is OrderStatus.WORKING
    assert world.accounts.exposure(MARKET).open_buy == 10


async def test_look_up_when_the_order_was_listed_within_the_read_lag_then_its_silence_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    listing = world.gateway.orders_there.pop(handle.client_order_id)
    world.clock.advance(LAG_NS + 1)
    await world.reconciler.once()
    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)
    world.clock.advance(500 * MS - 10)
    world.kernel.publish(msgspec.structs.replace(listing, ts_recv=world.clock.now_ns()))

    await look(world, after_ns=10)

    assert len(world.gateway.looked_up) == 3
    assert world.order(handle).status is OrderStatus.WORKING


async def test_amend_when_its_request_is_still_carried_then_the_old_terms_do_not_refuse_it(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    handle = working(world, scribe)
    listing = world.gateway.orders_there.pop(handle.client_order_id)
    world.clock.advance(LAG_NS + 1)
    await world.reconciler.once()
    world.gateway.orders_there[handle.client_order_id] = listing
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    carried.add(handle.client_order_id)

    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)

    assert len(world.gateway.looked_up) == 2
    assert world.order(handle).status is OrderStatus.AMEND_REQUESTED
    assert world.accounts.exposure(MARKET).open_buy == 20


async def test_amend_when_another_is_asked_for_meanwhile_then_the_look_up_does_not_refuse_that_one(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    handle = working(world, scribe)
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    await look(world, after_ns=0)

    def refused_and_asked_again() -> None:
        report(world, handle, ReportKind.AMEND_REFUSED)
        world.do(scribe, lambda: handle.amend(Price(43), Size(30)))
        carried.add(handle.client_order_id)

    world.gateway.meanwhile = refused_and_asked_again
    await look(world, after_ns=250 * MS)

    assert world.order(handle).status is OrderStatus.AMEND_REQUESTED
    assert world.accounts.exposure(MARKET).open_buy == 30


async def test_look_up_when_it_is_not_answered_then_other_orders_have_their_turn(world: World, scribe: Scribe) -> None:
    stuck, other = unknown(world, scribe), unknown(world, scribe)
    world.gateway.unreadable.add(stuck.client_order_id)
    world.gateway.orders_there[other.client_order_id] = world.listing(other)
    await look(world, after_ns=0)

    with pytest.raises(Retryable):
        await look(world, after_ns=250 * MS)
    await look(world, after_ns=0)
    assert world.order(other).status is OrderStatus.WORKING
    assert world.gateway.looked_up.count(stuck.client_order_id) == 1

    world.gateway.unreadable.clear()
    world.gateway.orders_there[stuck.client_order_id] = world.listing(stuck)
    await look(world, after_ns=1_000 * MS)
    assert world.order(stuck).status is OrderStatus.WORKING


async def test_run_when_one_look_up_is_never_answered_then_passes_are_made_all_the_same(
    world: World, scribe: Scribe
) -> None:
    for _ in range(5):
        world.gateway.unreadable.add(unknown(world, scribe).client_order_id)
    task = asyncio.create_task(world.reconciler.run())
    await until(lambda: world.passes)
    for _ in range(40):
        world.clock.advance(500 * MS)
        before = len(world.gateway.looked_up)
        await until(lambda before=before: len(world.gateway.looked_up) > before or len(world.passes) > 1)

    task.cancel()
    assert len(world.passes) > 1


async def test_pass_when_one_look_up_is_not_answered_then_the_rest_of_it_is_made_and_the_order_is_looked_up_later(
    world: World, scribe: Scribe
) -> None:
    stuck, other = working(world, scribe), working(world, scribe)
    world.gateway.orders_there.clear()
    world.gateway.unreadable.add(stuck.client_order_id)
    world.clock.advance(LAG_NS + 1)

    await world.reconciler.once()
    assert "looked up later" in world.troubles[0]
    assert len(world.passes) == 1

    world.gateway.unreadable.clear()
    for _ in range(4):
        await look(world, after_ns=300 * MS)
    assert [world.order(one).status for one in (stuck, other)] == [OrderStatus.CANCELLED] * 2


async def test_ended_order_when_the_venue_has_put_it_away_then_its_missing_fills_are_fetched_all_the_same(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.listing(handle, is_open=False, filled=10))
    world.gateway.orders_there.clear()
    await look(world, after_ns=0)
    before = len(world.entries())
    for _ in range(4):
        await look(world, after_ns=5_000 * MS)
        assert world.order(handle).status is OrderStatus.ENDING
    assert len(world.entries()) == before

    world.gateway.fills_there.append(world.fill(handle, 10))
    await look(world, after_ns=5_000 * MS)

    assert world.accounts.positions.account(MARKET).size == 10
    assert world.accounts.orders.awaiting_fills() == ()


async def test_ended_order_when_the_venue_never_lists_its_fills_then_it_ends_with_a_halt_and_is_asked_for_ever_less(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.listing(handle, is_open=False, filled=10))
    for _ in range(30):
        await look(world, after_ns=1_000 * MS)

    order = world.order(handle)
    assert (order.status, order.filled) == (OrderStatus.FILLED, 0)
    assert world.accounts.exposure(MARKET).open_buy == 10
    assert world.accounts.trading.is_set(Scope.INSTRUMENT, MARKET, TradingState.HALTED)
    before = len(world.gateway.fills_asked_since)
    for _ in range(3_600):
        await look(world, after_ns=1_000 * MS)
    assert 12 <= len(world.gateway.fills_asked_since) - before <= 24


async def test_run_when_a_pass_is_asked_for_during_one_that_finds_positions_apart_then_it_is_made_at_once(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.fill(handle, 4))
    world.gateway.meanwhile = world.reconciler.request
    task = asyncio.create_task(world.reconciler.run())

    await until(lambda: len(world.passes) == 2)
    task.cancel()


async def test_order_when_the_venue_refuses_to_change_it_then_it_is_looked_up_until_reads_can_not_lag_any_more(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.gateway.read_lag_ms = 400
    world.do(scribe, lambda: handle.amend(Price(44), Size(20)))
    world.gateway.answers.append(lambda approved: (refusal(world, approved.client_order_id),))
    async with Dispatching(world):
        await until(lambda: world.order(handle).status is OrderStatus.WORKING)
    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)
    assert world.order(handle).status is OrderStatus.WORKING, "the read lags, and shows it as it was"

    world.gateway.orders_there[handle.client_order_id] = world.listing(handle, is_open=False)
    await look(world, after_ns=250 * MS)
    assert world.order(handle).status.is_final

    await look(world, after_ns=5_000 * MS)
    assert len(world.gateway.looked_up) == 2


async def test_order_when_the_venue_refuses_to_change_it_and_still_has_it_then_its_inquiry_ends_after_the_read_lag(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.reconciler.flag(world.order(handle))
    for _ in range(5):
        await look(world, after_ns=300 * MS)
    assert world.order(handle).status is OrderStatus.WORKING
    assert len(world.gateway.looked_up) == 1


def refusal(world: World, client_order_id: str) -> OrderReport:
    """The venue's word that it did not change the order."""
    return state_records.report(ReportKind.AMEND_REFUSED, client_order_id, at=world.clock.now_ns(), code="not_found")


async def test_cancel_when_the_venue_takes_it_and_is_slow_then_it_is_not_refused_and_its_fills_are_booked(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    handle = working(world, scribe)
    world.do(scribe, handle.cancel)
    world.queue.pop()
    report(world, handle, ReportKind.CANCEL_PENDING)
    taken = msgspec.structs.replace(world.listing(handle, filled=4), is_cancelling=True)
    world.gateway.orders_there[handle.client_order_id] = taken
    world.gateway.fills_there.append(world.fill(handle, 4))
    world.clock.advance(60_000 * MS)

    for _ in range(20):
        await look(world, after_ns=500 * MS)
    assert world.order(handle).status is OrderStatus.CANCEL_REQUESTED
    assert world.order(handle).filled == 4
    assert world.queue.pop() is None
    assert 3 <= len(world.gateway.looked_up) <= 8

    world.gateway.orders_there[handle.client_order_id] = world.listing(handle, is_open=False, filled=4)
    await look(world, after_ns=5_000 * MS)
    assert world.order(handle).status is OrderStatus.CANCELLED


async def test_cancel_when_asked_again_and_already_received_then_it_is_not_asked_for_in_a_loop(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    handle = working(world, scribe)
    world.do(scribe, handle.cancel)
    world.queue.pop()
    report(world, handle, ReportKind.CANCEL_REFUSED, code="already_received")
    taken = msgspec.structs.replace(world.listing(handle), is_cancelling=True)
    world.gateway.orders_there[handle.client_order_id] = taken

    for _ in range(30):
        await look(world, after_ns=500 * MS)

    assert world.order(handle).status is OrderStatus.CANCEL_REQUESTED
    assert world.queue.pop() is None


async def test_cancel_when_the_venue_gives_it_up_then_it_is_asked_for_again(
    world: World, scribe: Scribe, carried: set[str]
) -> None:
    handle = working(world, scribe)
    world.do(scribe, handle.cancel)
    world.queue.pop()
    report(world, handle, ReportKind.CANCEL_PENDING)
    world.clock.advance(60_000 * MS)
    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)
    await look(world, after_ns=250 * MS)
    await look(world, after_ns=500 * MS)

    assert world.next_intent() == CancelOrder(strategy="scribe", client_order_id=handle.client_order_id)


async def test_look_up_when_orders_are_told_apart_by_content_then_it_is_known_which_venue_orders_are_ours(
    world: World, scribe: Scribe
) -> None:
    handle, other = unknown(world, scribe), working(world, scribe)
    await look(world, after_ns=0)
    await look(world, after_ns=250 * MS)

    assert world.gateway.looked_up == [handle.client_order_id]
    claimed = [world.gateway.is_claimed(name) for name in (f"v-{other.client_order_id}", "v-else")]
    assert claimed == [True, False]


@pytest.mark.parametrize("has_ids", [False, True])
async def test_look_up_by_content_when_an_order_like_it_is_on_its_way_then_what_is_found_may_be_that_one(
    world: World, scribe: Scribe, carried: set[str], has_ids: bool
) -> None:
    dependencies = world.reconciler._dependencies
    terms = VenueTerms(client_ids=has_ids)
    world.reconciler = Reconciler(msgspec.structs.replace(dependencies, terms=lambda: terms))
    handle, twin = unknown(world, scribe), sent(world, scribe)
    carried.add(twin.client_order_id)
    world.gateway.orders_there[handle.client_order_id] = world.listing(handle)
    await look(world, after_ns=0)
    with nullcontext() if has_ids else pytest.raises(Retryable, match=twin.client_order_id):
        await look(world, after_ns=400 * MS)
    assert world.order(handle).status is (OrderStatus.WORKING if has_ids else OrderStatus.UNKNOWN)

    report(world, twin, ReportKind.ACCEPTED, venue_order_id="v-twin")
    await look(world, after_ns=2_000 * MS)
    assert world.order(handle).status is OrderStatus.WORKING
