from __future__ import annotations

import asyncio
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from framework.domain.account_events import (
    CancelRequested,
    ExternalOrderIgnored,
    OrderAdopted,
    OrderSnapshot,
    PositionReport,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import Retryable
from framework.domain.intents import CancelOrder
from framework.domain.market_events import ConnectorStatus
from framework.domain.numbers import Size
from framework.domain.operator_requests import (
    OPERATOR,
    AcknowledgeAlerts,
    AdoptExternalOrder,
    Answer,
    CancelExternalOrder,
    CancelOrders,
    IgnoreExternalOrder,
    Reconcile,
    Request,
    SendTestAlert,
    SetTradingState,
    ShowAlerts,
)
from framework.domain.orders import OrderStatus
from framework.domain.terms import FillListing, PositionListing, VenueTerms
from framework.domain.verdicts import RefusalCode
from framework.ops.operator_commands import Operator, OperatorDependencies
from framework.persistence.journal.restore import fold_record
from framework.state.accounts import Accounts
from risk.checks.trading_state import TradingStateCheck
from tests.support import state_records
from tests.support.inquiries import listed
from tests.support.world import MARKET, VENUE, Dispatching, Scribe, World, until

HALT = SetTradingState(scope=Scope.GLOBAL, state=TradingState.HALTED, reason="drill")
RESUME = SetTradingState(scope=Scope.GLOBAL, state=TradingState.ACTIVE, reason="over")


@pytest.fixture
def operator(world: World) -> Operator:
    """The hand of a person on that core."""
    return hand(world)


def hand(world: World) -> Operator:
    return Operator(
        OperatorDependencies(
            kernel=world.kernel,
            clock=world.clock,
            reconcilers=lambda: {VENUE: world.reconciler},
            strategies=["scribe"],
            wait_durable=world.recorder.wait_durable,
        )
    )


def test_requests_when_listed_then_the_daemon_serves_each_of_them(operator: Operator) -> None:
    assert set(operator._handlers) == set(get_args(Request))


async def test_alerts_when_the_daemon_looks_for_none_then_their_requests_are_refused(operator: Operator) -> None:
    for request in (ShowAlerts(), AcknowledgeAlerts(is_all=True), SendTestAlert(output="phone")):
        answer = await operator.answer(request)
        assert (answer.is_ok, answer.lines) == (False, ("this daemon looks for no alerts",))


def foreign(world: World, name: str = "v-foreign-1", client: str = "theirs") -> OrderSnapshot:
    """The venue lists an order that is not ours."""
    price = world.accounts.instruments[MARKET].price("0.30")
    snapshot = state_records.listed(client, venue_order_id=name, price=price, size=5, at=world.clock.now_ns())
    world.kernel.publish(snapshot)
    return snapshot


def recorded(world: World, kind: type) -> list[object]:
    """The journal's records of a kind."""
    return [entry.record.body for entry in world.entries() if isinstance(entry.record.body, kind)]


async def refused(operator: Operator, request: Request) -> str:
    """Why nothing was done."""
    answer = await operator.answer(request)
    assert not answer.is_ok
    return answer.lines[0]


async def test_halt_when_ordered_then_the_gate_refuses_until_somebody_resumes(tmp_path: Path) -> None:
    world = World(tmp_path, checks=[("TradingStateCheck", TradingStateCheck())])
    world.start()
    scribe, operator = world.add(), hand(world)

    assert (await operator.answer(HALT)).lines == ("everything is halted",)
    refusal = world.buy(scribe).refusal
    assert refusal is not None
    assert refusal.code is RefusalCode.TRADING_HALTED
    assert (await operator.answer(RESUME)).lines == ("everything is active",)
    assert world.buy(scribe).is_approved
    world.close()


@pytest.mark.parametrize(
    ("scope", "target"), [(Scope.VENUE, VENUE), (Scope.INSTRUMENT, MARKET), (Scope.STRATEGY, "scribe")]
)
async def test_reduce_when_a_scope_is_named_then_it_is_set_there_alone(
    operator: Operator, world: World, scope: Scope, target: str
) -> None:
    request = SetTradingState(scope=scope, target=target, state=TradingState.REDUCING, reason="careful")

    answer = await operator.answer(request)

    assert answer.lines == (f"{scope.value} {target} is reducing",)
    (row,) = world.accounts.trading.rows()
    assert (row.scope, row.target, row.state, row.reason) == (scope, target, TradingState.REDUCING, "careful")


async def test_trading_state_when_set_then_it_is_an_event_of_the_journal(operator: Operator, world: World) -> None:
    await operator.answer(HALT)
    (event,) = recorded(world, TradingStateChanged)
    assert isinstance(event, TradingStateChanged)
    assert (event.state, event.reason) == (TradingState.HALTED, "drill")


async def test_halt_when_it_is_not_durable_yet_then_the_answer_waits(operator: Operator, world: World) -> None:
    assert world.log is not None
    world.log.is_automatic = False
    answering = asyncio.create_task(operator.answer(HALT))
    await asyncio.sleep(0.01)
    assert not answering.done()

    world.log.release()

    assert (await answering).is_ok


async def test_halt_when_the_journal_fails_then_the_answer_says_what_that_means(
    operator: Operator, world: World
) -> None:
    assert world.log is not None
    world.log.is_automatic = False
    answering = asyncio.create_task(operator.answer(HALT))
    await asyncio.sleep(0)
    world.log.fail()
    answer = await answering
    assert not answer.is_ok
    assert answer.lines[0].startswith("it holds now but not after a restart: journal: disk full")


async def test_resume_when_no_reason_is_given_then_it_is_refused(operator: Operator, world: World) -> None:
    await operator.answer(HALT)
    assert "needs a reason" in await refused(operator, msgspec.structs.replace(RESUME, reason=" "))
    assert len(world.accounts.trading.rows()) == 1


async def test_resume_when_other_scopes_are_still_halted_then_they_are_named(operator: Operator, world: World) -> None:
    await operator.answer(HALT)
    halt = SetTradingState(scope=Scope.INSTRUMENT, target=MARKET, state=TradingState.HALTED, reason="odd")
    await operator.answer(halt)

    answer = await operator.answer(RESUME)

    assert answer.lines == (
        "everything is active, but for what is set elsewhere:",
        f"instrument {MARKET} is halted (odd)",
    )


@pytest.mark.parametrize(
    ("scope", "target", "message"),
    [
        (Scope.VENUE, "tied", 'there is no venue "tied"; did you mean "tide"?; there are: tide'),
        (Scope.INSTRUMENT, "tide:B", 'there is no instrument "tide:B"; did you mean "tide:A"?'),
        (Scope.STRATEGY, "nobody", 'there is no strategy "nobody"; there are: scribe'),
        (Scope.GLOBAL, "tide", "the global scope has no target"),
    ],
)
async def test_halt_when_its_target_is_not_known_then_nothing_is_set(
    operator: Operator, world: World, scope: Scope, target: str, message: str
) -> None:
    request = SetTradingState(scope=scope, target=target, state=TradingState.HALTED, reason="x")
    assert message in await refused(operator, request)
    assert world.accounts.trading.rows() == ()


@pytest.mark.parametrize(
    ("scope", "target", "line"),
    [
        (Scope.GLOBAL, "", "2 orders are open and stay so; `tidegate cancel --all` ends them"),
        (
            Scope.STRATEGY,
            "scribe",
            "1 orders of strategy scribe are open and stay so; `tidegate cancel --strategy scribe` ends them",
        ),
        (
            Scope.INSTRUMENT,
            MARKET,
            f"2 orders of instrument {MARKET} are open and stay so; `tidegate cancel --instrument {MARKET}` ends them",
        ),
        (
            Scope.VENUE,
            VENUE,
            f"2 orders of venue {VENUE} are open and stay so; `tidegate cancel --venue {VENUE}` ends them",
        ),
    ],
)
async def test_halt_when_orders_rest_then_it_counts_and_advises_in_the_scope_named(
    operator: Operator, world: World, scribe: Scribe, scope: Scope, target: str, line: str
) -> None:
    listed(world, scribe)
    listed(world, world.add(name="other"))
    answer = await operator.answer(msgspec.structs.replace(HALT, scope=scope, target=target))
    assert answer.lines[-1] == line


async def test_halt_when_it_also_cancels_then_what_is_open_in_its_scope_ends_and_no_other_order(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    mine, others = listed(world, scribe), listed(world, world.add(name="other"))
    halt = SetTradingState(
        scope=Scope.STRATEGY, target="scribe", state=TradingState.HALTED, reason="drill", is_cancelling=True
    )

    answer = await operator.answer(halt)

    assert answer.lines == (
        "strategy scribe is halted",
        "cancel asked for 1 open orders",
        f"{mine.client_order_id} of scribe: cancel requested",
    )
    assert world.order(mine).cancel_wanted
    assert not world.order(others).cancel_wanted
    (event,) = recorded(world, TradingStateChanged)
    assert isinstance(event, TradingStateChanged)
    assert event.is_cancelling
    assert recorded(world, CancelRequested) == []


async def test_resume_when_it_shall_also_cancel_then_it_is_refused(operator: Operator, world: World) -> None:
    assert "cancels nothing" in await refused(operator, msgspec.structs.replace(RESUME, is_cancelling=True))


async def test_trading_state_when_set_then_it_says_who_set_it_and_since_when(operator: Operator, world: World) -> None:
    await operator.answer(HALT)
    (row,) = world.accounts.trading.rows()
    assert (row.by, row.since_ns) == (OPERATOR, world.clock.now_ns())


@pytest.mark.parametrize("by", ["ours", "venue's", "strategy", "venue", "instrument", "all"])
async def test_cancel_when_asked_then_the_order_is_cancelled_in_its_owners_name(
    operator: Operator, world: World, scribe: Scribe, by: str
) -> None:
    handle = listed(world, scribe)
    requests = {
        "ours": CancelOrders(order=handle.client_order_id, reason="r"),
        "venue's": CancelOrders(order=f"v-{handle.client_order_id}", reason="r"),
        "strategy": CancelOrders(strategy="scribe", reason="r"),
        "venue": CancelOrders(venue=VENUE, reason="r"),
        "instrument": CancelOrders(instrument=MARKET, reason="r"),
        "all": CancelOrders(is_all=True, reason="r"),
    }

    answer = await operator.answer(requests[by])

    assert answer.data == [handle.client_order_id]
    assert world.next_intent() == CancelOrder(strategy="scribe", client_order_id=handle.client_order_id)
    (event,) = recorded(world, CancelRequested)
    assert isinstance(event, CancelRequested)
    assert event.reason == "r"


async def test_cancel_when_the_dispatcher_runs_then_the_order_ends(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    async with Dispatching(world):
        handle = await world.working(scribe)
        await operator.answer(CancelOrders(is_all=True, reason="r"))
        await until(lambda: world.order(handle).status is OrderStatus.CANCELLED)


async def test_cancel_when_the_strategy_is_quarantined_or_halted_then_it_goes_out_all_the_same(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    await operator.answer(HALT)
    await operator.answer(CancelOrders(order=handle.client_order_id, reason="r"))
    assert len(world.queue) == 1


async def test_cancel_when_the_order_has_not_left_then_it_never_does(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe)
    answer = await operator.answer(CancelOrders(order=handle.client_order_id, reason="r"))
    assert answer.lines[-1] == f"{handle.client_order_id} of scribe: it has not left and does not leave any more"
    async with Dispatching(world):
        await until(lambda: world.order(handle).status is OrderStatus.REJECTED)
    assert world.gateway.sent == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (CancelOrders(reason="r"), "name one order"),
        (CancelOrders(reason="r", order="x", is_all=True), "name one order"),
        (CancelOrders(reason="r", order="t-1-9"), 'there is no order "t-1-9" of ours; did you mean "t-1-1"?'),
        (CancelOrders(reason="r", strategy="scrib"), 'there is no strategy "scrib"; did you mean "scribe"?'),
    ],
)
async def test_cancel_when_it_can_not_be_done_then_it_says_why(
    operator: Operator, world: World, scribe: Scribe, request_: CancelOrders, message: str
) -> None:
    listed(world, scribe)
    assert message in await refused(operator, request_)
    assert len(world.queue) == 0


async def test_cancel_when_the_order_has_ended_then_it_says_so(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    world.kernel.publish(world.listing(handle, is_open=False))
    message = await refused(operator, CancelOrders(order=handle.client_order_id, reason="r"))
    assert "has ended: cancelled" in message


def test_cancel_event_when_its_order_is_not_known_then_nothing_happens(world: World) -> None:
    world.kernel.publish(CancelRequested(venue=VENUE, client_order_id="nobody's", reason="r", ts_recv=1))
    assert len(world.queue) == 0


async def test_adopt_when_an_orphan_is_given_to_a_strategy_then_it_is_its_own(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    foreign(world)

    answer = await operator.answer(AdoptExternalOrder(order="v-foreign-1", strategy="scribe"))

    assert answer.lines == ("v-foreign-1 is now theirs of scribe: working",)
    assert [order.client_order_id for order in world.accounts.orders.open(strategy="scribe")] == ["theirs"]
    assert world.accounts.external_orders(VENUE) == ()
    assert world.accounts.exposure(MARKET).open_buy == 5
    assert scribe.of("order") == ["working"]
    (event,) = recorded(world, OrderAdopted)
    assert isinstance(event, OrderAdopted)


async def test_adopt_when_the_orphan_has_no_client_id_then_it_is_named_by_the_venues(
    operator: Operator, world: World
) -> None:
    foreign(world, client="")
    answer = await operator.answer(AdoptExternalOrder(order="v-foreign-1", strategy="scribe"))
    assert answer.data == "tide/v-foreign-1"


async def test_cancel_orphan_when_asked_then_it_is_adopted_by_the_operator_and_cancelled(
    operator: Operator, world: World
) -> None:
    foreign(world)

    await operator.answer(CancelExternalOrder(order="v-foreign-1", reason="r"))

    assert world.next_intent() == CancelOrder(strategy=OPERATOR, client_order_id="theirs")


async def test_ignore_when_asked_then_the_orphan_is_not_shown_and_can_still_be_adopted(
    operator: Operator, world: World
) -> None:
    foreign(world)

    await operator.answer(IgnoreExternalOrder(order="v-foreign-1", reason="mine"))

    assert world.accounts.external_orders(VENUE) == ()
    assert len(world.accounts.external_orders(VENUE, ignored=True)) == 1
    assert len(recorded(world, ExternalOrderIgnored)) == 1
    assert (await operator.answer(AdoptExternalOrder(order="v-foreign-1", strategy="scribe"))).is_ok


async def test_orphan_when_named_by_its_beginning_then_it_is_found_unless_others_begin_so(
    operator: Operator, world: World
) -> None:
    foreign(world, "v-foreign-1")
    foreign(world, "v-foreign-2", "others")
    message = await refused(operator, IgnoreExternalOrder(order="v-foreign", reason="r"))
    assert "begins the ids of 2 external orders" in message
    assert 'there is no external order "v-"' in await refused(operator, IgnoreExternalOrder(order="v-", reason="r"))
    foreign(world, "w-foreign-3", "third")
    assert (await operator.answer(IgnoreExternalOrder(order="w-fo", reason="r"))).is_ok


@pytest.mark.parametrize("name", ["v-forein-1", "x"])
async def test_orphan_when_it_is_not_known_then_the_closest_is_named(
    operator: Operator, world: World, name: str
) -> None:
    foreign(world)
    message = await refused(operator, CancelExternalOrder(order=name, reason="r"))
    assert f'there is no external order "{name}"' in message
    assert ('did you mean "v-foreign-1"' in message) is (name != "x")


async def test_adopt_when_the_strategy_is_not_known_then_the_orphan_stays_one(operator: Operator, world: World) -> None:
    foreign(world)
    assert 'no strategy "scrub"' in await refused(operator, AdoptExternalOrder(order="v-foreign-1", strategy="scrub"))
    assert len(world.accounts.external_orders(VENUE)) == 1


async def test_reconcile_when_all_agrees_then_it_says_so(operator: Operator) -> None:
    answer = await operator.answer(Reconcile())
    assert answer == Answer(is_ok=True, lines=("the venues and we agree",), data=[])


async def test_reconcile_when_something_differs_then_each_difference_is_told(operator: Operator, world: World) -> None:
    world.gateway.orders_there["theirs"] = foreign(world)
    answer = await operator.answer(Reconcile())
    assert [one["kind"] for one in answer.data] == ["orphan"]
    assert answer.lines[0] == answer.data[0]["text"]


async def test_reconcile_when_it_is_a_dry_run_then_nothing_is_recorded(operator: Operator, world: World) -> None:
    world.gateway.read_lag_ms = 1
    world.gateway.positions_there.append(PositionReport(venue=VENUE, instrument=MARKET, size=Size(2), ts_recv=1))
    before = len(world.entries())

    answer = await operator.answer(Reconcile(is_dry_run=True))

    assert [one["kind"] for one in answer.data] == ["position"]
    assert len(world.entries()) == before


async def test_reconcile_when_the_venue_can_not_be_asked_then_it_says_so(operator: Operator, world: World) -> None:
    world.gateway.lookup_errors.append(Retryable("refused"))
    answer = await operator.answer(Reconcile())
    assert not answer.is_ok
    assert answer.lines == ("tide can't be asked now: refused",)


@pytest.mark.parametrize(("is_up", "is_ok"), [(True, True), (False, False)])
async def test_reconcile_when_a_venue_that_lists_no_orders_is_down_then_nothing_is_said_to_agree(
    operator: Operator, world: World, is_up: bool, is_ok: bool
) -> None:
    world.offer(VenueTerms(open_orders=False, fills=FillListing.BY_ORDER, positions=PositionListing.NONE))
    world.kernel.publish(ConnectorStatus(VENUE, is_up, "cut", world.clock.now_ns()))
    answer = await operator.answer(Reconcile())
    assert (answer.is_ok, "tide can't be asked now: not connected" in answer.lines) == (is_ok, not is_ok)
    assert ("the venues and we agree" in answer.lines) == is_ok


async def test_orders_of_an_operator_when_folded_again_then_the_state_is_the_same(
    operator: Operator, world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    foreign(world, "v-foreign-1", "a")
    foreign(world, "v-foreign-2", "b")
    await operator.answer(HALT)
    await operator.answer(CancelOrders(order=handle.client_order_id, reason="r"))
    await operator.answer(IgnoreExternalOrder(order="v-foreign-1", reason="r"))
    await operator.answer(CancelExternalOrder(order="v-foreign-2", reason="r"))

    folded = Accounts()
    for entry in world.entries():
        fold_record(folded, entry.record.body, entry.record.now_ns)

    assert folded.digest() == world.accounts.digest()
    assert Accounts.from_snapshot(folded.to_snapshot()).digest() == folded.digest()
