from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from framework.domain.account_events import (
    ExternalOrderIgnored,
    Fill,
    InstrumentSettled,
    OrderSnapshot,
    PositionReport,
    ReportKind,
)
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.strategy import OrderHandle
from framework.reconciliation.differences import Difference, DifferenceKind, compare, orders_apart
from framework.reconciliation.fill_query import FILLS_OVERLAP_NS, FillQuery
from framework.reconciliation.order_terms import AsOf
from tests.support import state_records
from tests.support.inquiries import report
from tests.support.world import MARKET, MS, VENUE, Scribe, World

LAG_NS = 100 * MS


def foreign(world: World, name: str = "v-9", client: str = "", **changes: object) -> OrderSnapshot:
    """An order that somebody else has at the venue."""
    terms = {"side": Side.SELL, "price": 60, "size": 7, "filled": 2}
    snapshot = state_records.listed(client, venue_order_id=name, at=world.clock.now_ns(), **terms)
    return msgspec.structs.replace(snapshot, **changes)


def as_of(world: World) -> AsOf:
    return AsOf(world.clock.now_ns(), world.clock.monotonic_ns(), LAG_NS)


def working(world: World, scribe: Scribe) -> OrderHandle:
    """A bid that the venue lists, old enough for its reads to show it."""
    handle = world.buy(scribe)
    world.kernel.publish(world.listing(handle))
    world.clock.advance(LAG_NS + 1)
    return handle


async def found(world: World, *listed: OrderSnapshot) -> list[Difference]:
    """What a dry comparison finds when the venue lists these orders."""
    world.gateway.orders_there = {one.venue_order_id: one for one in listed}
    fill_query = FillQuery(VENUE, world.gateway, world.accounts, world.clock)
    return await compare(
        VENUE, world.gateway, world.accounts, fill_query=fill_query, clock=world.clock, drift_ms_max=10_000
    )


async def test_order_when_both_say_the_same_then_nothing_differs(world: World, scribe: Scribe) -> None:
    handle = working(world, scribe)
    assert await found(world, world.listing(handle)) == []


async def test_order_when_only_the_venue_has_it_then_it_is_external_and_left_alone(world: World) -> None:
    (external_order,) = await found(world, foreign(world))

    assert (external_order.kind, external_order.subject, external_order.instrument) == (
        DifferenceKind.EXTERNAL_ORDER,
        "v-9",
        MARKET,
    )
    assert external_order.venue_word == "open, sell 7 at 0.60, filled 2"
    assert external_order.own_word == "unknown"
    assert external_order.why == "placed by hand or by another program"
    assert external_order.action.startswith("nothing by itself")
    assert len(world.queue) == 0


async def test_external_order_when_its_id_is_of_our_making_then_the_journal_is_suspected(world: World) -> None:
    (external_order,) = await found(world, foreign(world, client="tg7f3a91-12-45"))
    assert "this is not its journal" in external_order.why


async def test_external_order_when_its_market_is_not_known_then_its_amounts_are_shown_unscaled(world: World) -> None:
    (external_order,) = await found(world, foreign(world, instrument="tide:B"))
    assert external_order.venue_word == "open, sell scaled 7 at 60, filled scaled 2"


async def test_external_order_when_it_is_to_be_ignored_then_it_is_left_out(world: World) -> None:
    world.kernel.publish(foreign(world))
    world.kernel.publish(ExternalOrderIgnored(venue=VENUE, venue_order_id="v-9", reason="mine", ts_recv=1))
    assert await found(world, foreign(world)) == []


async def test_order_when_only_we_have_it_then_its_end_is_looked_for(world: World, scribe: Scribe) -> None:
    handle = working(world, scribe)

    (missing,) = await found(world)

    assert (missing.kind, missing.subject) == (DifferenceKind.ONLY_HERE, handle.client_order_id)
    assert (missing.venue_word, missing.own_word) == ("not listed as open", "working")
    assert world.gateway.looked_up == []


async def test_order_when_it_is_under_a_cancel_and_not_listed_any_more_then_it_differs_only_once_that_lasts(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.do(scribe, handle.cancel)
    report(world, handle, ReportKind.CANCEL_PENDING)
    world.clock.advance(10_000 * MS)
    assert await found(world) == []
    world.clock.advance(1)
    (missing,) = await found(world)
    assert (missing.kind, missing.own_word) == (DifferenceKind.ONLY_HERE, "cancel_requested")


def test_order_when_it_changed_within_the_read_lag_then_its_absence_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    world.kernel.publish(world.listing(handle))
    assert orders_apart(VENUE, world.accounts, [], as_of(world), drift_ms_max=10_000) == []


async def test_order_when_we_do_not_know_its_outcome_and_the_venue_lists_it_then_the_answer_was_lost(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    for kind in (ReportKind.SENT, ReportKind.UNKNOWN):
        report(world, handle, kind)
    world.clock.advance(LAG_NS + 1)

    (status,) = await found(world, world.listing(handle))

    assert (status.kind, status.own_word) == (DifferenceKind.STATUS, "unknown")
    assert (status.why, status.action) == ("the answer to its request was lost", "it counts as working")


async def test_order_when_it_has_ended_here_and_the_venue_lists_it_then_that_is_a_difference(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    listed = world.listing(handle)
    world.kernel.publish(msgspec.structs.replace(listed, is_open=False, reason="expired"))
    world.clock.advance(LAG_NS + 1)

    (status,) = await found(world, listed)

    assert (status.kind, status.own_word) == (DifferenceKind.STATUS, "cancelled")
    assert "expired" in status.why


async def test_order_when_its_terms_differ_then_both_are_shown(world: World, scribe: Scribe) -> None:
    handle = working(world, scribe)

    (status,) = await found(world, msgspec.structs.replace(world.listing(handle), price=Price(40)))

    assert (status.venue_word, status.own_word) == ("open, 10 at 0.40", "working, 10 at 0.45")
    assert status.action == "take the venue's terms"


def trade(world: World, handle: OrderHandle, size: int, fill_id: str) -> Fill:
    """A trade that the venue lists and that was never reported here."""
    fill = world.fill(handle, size, fill_id)
    world.gateway.fills_there.append(fill)
    return fill


def position(world: World, size: int) -> None:
    """What the venue says that we hold."""
    world.gateway.positions_there[:] = [PositionReport(venue=VENUE, instrument=MARKET, size=Size(size), ts_recv=1)]


async def test_fills_when_they_are_not_booked_then_they_are_summed_up_and_no_position_is_called_apart(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    for n in range(5):
        trade(world, handle, 1, f"f{n}")
    position(world, 5)
    world.clock.advance(LAG_NS + 1)

    (fills,) = await found(world, world.listing(handle))

    assert fills.kind is DifferenceKind.FILLS
    assert fills.venue_word == "5 fills, net 5 (f0, f1, f2 and 2 more)"


async def test_position_when_booking_the_missing_fills_leaves_it_apart_then_only_the_rest_is_the_difference(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    trade(world, handle, 2, "f1")
    position(world, 5)
    world.clock.advance(LAG_NS + 1)

    _, held = await found(world, world.listing(handle))

    assert (held.venue_size, held.own_size, held.gap) == (Decimal(5), Decimal(2), Decimal(3))
    assert held.own_word == "2 with the missing fills booked"
    assert held.why.startswith("no fill explains it")


async def test_fill_when_it_is_younger_than_the_read_lag_then_the_stream_may_still_bring_it(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    trade(world, handle, 1, "f1")
    position(world, 1)
    assert await found(world, world.listing(handle)) == []


async def test_position_when_nothing_explains_it_then_that_is_said(world: World) -> None:
    position(world, -3)

    (held,) = await found(world)

    assert (held.venue_word, held.own_word) == ("-3", "0")
    assert held.why.startswith("no fill explains it")
    assert held.action == "halt the instrument once it has been so for 10000 ms"


async def test_position_when_an_order_is_unknown_then_it_is_suspected(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    for kind in (ReportKind.SENT, ReportKind.UNKNOWN):
        report(world, handle, kind)
    position(world, 2)

    (held,) = await found(world)

    assert held.why == f"orders of unknown outcome may have traded: {handle.client_order_id}"


async def test_position_when_the_venue_states_more_filled_than_there_are_fills_then_that_is_it(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.kernel.publish(world.listing(handle, filled=4))
    position(world, 4)

    (held,) = await found(world, world.listing(handle, filled=4))

    assert held.why == f"the venue states more filled than there are fills for {handle.client_order_id}"


async def test_position_when_the_market_was_settled_then_the_venue_is_behind(world: World, scribe: Scribe) -> None:
    world.kernel.publish(InstrumentSettled(MARKET, Price(100), 1, 1))
    position(world, 4)

    (held,) = await found(world)

    assert held.why == "it was settled, and the venue still shows a position"


@pytest.mark.parametrize(
    "word", ["orphan v-9", "venue open, sell 7", "here unknown", "Why:", "What is done:", "`tidegate external-orders "]
)
async def test_difference_when_shown_to_an_operator_then_it_says_everything(world: World, word: str) -> None:
    (external_order,) = await found(world, foreign(world))
    assert word in external_order.text


async def test_difference_when_written_down_then_its_age_is_a_wall_time(world: World) -> None:
    (external_order,) = await found(world, foreign(world))
    then_ns = world.clock.now_ns()
    world.clock.advance(5 * MS)

    fields = external_order.fields(now_ns=world.clock.now_ns(), monotonic_ns=world.clock.monotonic_ns())

    assert fields["since_ns"] == then_ns
    assert (fields["kind"], fields["subject"]) == ("orphan", "v-9")


async def test_comparison_when_it_finds_differences_then_nothing_was_published(world: World) -> None:
    position(world, 3)
    before = len(world.entries())

    assert len(await found(world, foreign(world))) == 2

    assert len(world.entries()) == before
    assert world.accounts.external_orders(VENUE) == ()


async def test_fills_when_compared_then_only_those_are_asked_for_that_can_be_news(world: World, scribe: Scribe) -> None:
    handle = world.buy(scribe)
    world.kernel.publish(world.listing(handle, is_open=False))
    newest = world.fill(handle, 1)
    world.kernel.publish(newest)

    await found(world)

    assert set(world.gateway.fills_asked_since) == {newest.ts_venue - FILLS_OVERLAP_NS}


async def test_fills_when_they_are_as_old_as_those_that_are_forgotten_then_they_are_no_difference(
    world: World, scribe: Scribe
) -> None:
    handle = working(world, scribe)
    world.accounts.fills._kept_max = 1
    for n in range(3):
        world.kernel.publish(trade(world, handle, 1, f"f{n}"))
        world.clock.advance(LAG_NS + 1)
    position(world, 3)
    assert world.accounts.fills.get(VENUE, "f0") is None

    assert await found(world, world.listing(handle)) == []


async def test_order_when_it_came_to_be_while_the_list_was_read_then_its_absence_proves_nothing(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)

    def take_it_late() -> None:
        world.kernel.publish(world.listing(handle))
        world.clock.advance(5 * LAG_NS)

    world.gateway.meanwhile = take_it_late
    assert await found(world) == []
