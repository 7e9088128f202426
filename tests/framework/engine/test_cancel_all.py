"""Many orders end by one request where the venue takes it and nothing else would end; each is followed to its end."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import (
    CancelAllRequested,
    ExternalOrderIgnored,
    OrderSnapshot,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CancelAll, CancelOrder, Intent
from framework.domain.numbers import Price, Size
from framework.domain.operator_requests import OPERATOR
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import Strategy
from framework.domain.terms import CancelAllScope, VenueTerms
from framework.reconciliation.external_orders import adoption
from framework.testing import INSTRUMENT, VENUE, TradingHarness

OTHER = msgspec.structs.replace(INSTRUMENT, id=InstrumentId(f"{VENUE}:OTHER"), symbol="OTHER")
ACCOUNT, MARKET, NONE = CancelAllScope.ACCOUNT, CancelAllScope.MARKET, CancelAllScope.NONE
EVERYTHING = CancelAllRequested(scope=Scope.GLOBAL, target="", reason="r", ts_recv=1)
STOPPING = ShutdownRequested("r", 1)
ONE_REQUEST = [CancelAll(strategy=OPERATOR, venue=VENUE)]


class Plain(Strategy[None]):
    """Does what the test does with its methods."""


def ready(offered: CancelAllScope, orders: int = 2, *, per_other: int = 0, hold: bool = False) -> TradingHarness:
    """A harness whose strategy has this many orders open in the first market, and in the other one."""
    harness = TradingHarness(instruments=[INSTRUMENT, OTHER], terms=VenueTerms(cancel_all=offered))
    plain = harness.add("plain", Plain)
    for instrument, count in ((INSTRUMENT, orders), (OTHER, per_other)):
        harness.venue.quote(bid="0.40", ask="0.60", instrument=instrument.id)
        for _ in range(count):
            harness.call(plain.buy, instrument.id, Price(3_000), Size(100))
    if hold:
        harness.venue.hold()
    return harness


def asked(harness: TradingHarness) -> list[Intent]:
    return [intent for intent in harness.intents if isinstance(intent, (CancelOrder, CancelAll))]


def names(harness: TradingHarness) -> list[str]:
    return [order.client_order_id for order in harness.orders()]


def single(harness: TradingHarness) -> list[Intent]:
    """What is asked one by one: for each order that is open now."""
    return [CancelOrder(strategy="plain", client_order_id=name) for name in names(harness)]


def halt(scope: Scope, target: str) -> TradingStateChanged:
    return TradingStateChanged(
        scope=scope, target=target, state=TradingState.HALTED, reason="r", ts_recv=1, is_cancelling=True
    )


def external(instrument: InstrumentId = INSTRUMENT.id) -> OrderSnapshot:
    return OrderSnapshot(
        venue=VENUE,
        venue_order_id="by-hand",
        client_order_id="",
        instrument=instrument,
        side=Side.BUY,
        price=Price(1_000),
        size=Size(100),
        filled=Size(0),
        is_open=True,
        ts_recv=1,
    )


@pytest.mark.parametrize(
    "event",
    [EVERYTHING, STOPPING, halt(Scope.GLOBAL, ""), halt(Scope.VENUE, VENUE)],
    ids=lambda one: type(one).__name__,
)
def test_orders_when_the_venue_ends_an_account_at_once_then_one_request_ends_them(event: Event) -> None:
    harness = ready(ACCOUNT, 3, per_other=1)
    harness.publish(event)
    assert asked(harness) == ONE_REQUEST
    assert harness.orders() == ()
    assert {order.status for order in harness.venue.orders.values() if order.is_open} == set()


def test_orders_when_the_venue_ends_a_market_at_once_then_one_request_for_each_with_several() -> None:
    harness = ready(MARKET, 3, per_other=1)
    other = names(harness)[-1]
    harness.publish(EVERYTHING)
    assert asked(harness) == [
        CancelAll(strategy=OPERATOR, venue=VENUE, instrument=INSTRUMENT.id),
        CancelOrder(strategy="plain", client_order_id=other),
    ]
    assert harness.orders() == ()


@pytest.mark.parametrize(("offered", "orders"), [(NONE, 3), (ACCOUNT, 1), (MARKET, 1)])
def test_orders_when_one_request_is_not_offered_or_saves_nothing_then_one_by_one(
    offered: CancelAllScope, orders: int
) -> None:
    harness = ready(offered, orders)
    wanted = single(harness)
    harness.publish(EVERYTHING)
    assert asked(harness) == wanted
    assert harness.orders() == ()


@pytest.mark.parametrize(
    ("offered", "event"),
    [
        (ACCOUNT, halt(Scope.STRATEGY, "plain")),
        (MARKET, halt(Scope.STRATEGY, "plain")),
        (ACCOUNT, halt(Scope.INSTRUMENT, INSTRUMENT.id)),
        (ACCOUNT, StrategyQuarantined("plain", "r", 1)),
    ],
)
def test_orders_when_the_scope_holds_less_than_the_request_ends_then_one_by_one(
    offered: CancelAllScope, event: Event
) -> None:
    harness = ready(offered)
    wanted = single(harness)
    harness.publish(event)
    assert asked(harness) == wanted


def test_instrument_when_halted_with_a_cancel_then_one_request_where_the_venue_ends_markets() -> None:
    harness = ready(MARKET, 2, per_other=2)
    harness.publish(halt(Scope.INSTRUMENT, OTHER.id))
    assert asked(harness) == [CancelAll(strategy=OPERATOR, venue=VENUE, instrument=OTHER.id)]
    assert [order.instrument for order in harness.orders()] == [INSTRUMENT.id] * 2


@pytest.mark.parametrize("is_ignored", [True, False])
@pytest.mark.parametrize("event", [EVERYTHING, STOPPING], ids=lambda one: type(one).__name__)
def test_orders_when_others_have_one_open_there_then_it_is_left_and_ours_end_one_by_one(
    event: Event, is_ignored: bool
) -> None:
    harness = ready(ACCOUNT)
    harness.publish(external())
    if is_ignored:
        harness.publish(ExternalOrderIgnored(venue=VENUE, venue_order_id="by-hand", reason="mine", ts_recv=2))
    wanted = single(harness)
    harness.publish(event)
    assert asked(harness) == wanted


def test_market_when_others_have_an_order_in_another_one_then_it_ends_at_once() -> None:
    harness = ready(MARKET, 2, per_other=2)
    harness.publish(external(OTHER.id))
    harness.publish(EVERYTHING)
    assert [type(intent) for intent in asked(harness)] == [CancelAll, CancelOrder, CancelOrder]
    assert harness.orders() == ()


def test_orders_when_one_request_is_under_way_then_each_is_marked_and_no_second_one_is_sent() -> None:
    harness = ready(ACCOUNT, 3, hold=True)
    harness.publish(EVERYTHING)
    assert {order.status for order in harness.orders()} == {OrderStatus.CANCEL_REQUESTED}
    harness.publish(EVERYTHING)
    harness.publish(STOPPING)
    harness.submit(single(harness)[0])
    sent = [
        approved.intent for approved in harness.venue.requests if isinstance(approved.intent, (CancelOrder, CancelAll))
    ]
    assert sent == ONE_REQUEST


@pytest.mark.parametrize("reached", [True, False])
def test_orders_when_the_answer_is_lost_then_look_ups_say_what_became_of_each_and_the_rest_is_asked_again(
    reached: bool,
) -> None:
    harness = ready(ACCOUNT, 3)
    harness.venue.lose_next(reached=reached)
    harness.publish(EVERYTHING)
    assert len(harness.orders()) == 3, "their exposure stays until the venue shows their end"
    harness.reconcile()
    assert harness.orders() == ()
    again = asked(harness)[1:]
    assert [type(intent) for intent in again] == ([] if reached else [CancelOrder] * 3)


@pytest.mark.parametrize("trouble", ["refused", "limited"])
def test_orders_when_the_venue_does_not_do_it_then_each_is_asked_to_end_when_shown_open(trouble: str) -> None:
    harness = ready(ACCOUNT)
    if trouble == "refused":
        harness.venue.reject_next("busy")
    else:
        harness.venue.limit_next()
    harness.publish(EVERYTHING)
    assert len(harness.orders()) == 2
    harness.advance(ms=1)
    harness.reconcile()
    assert harness.orders() == ()


def test_orders_when_they_come_to_rest_after_the_request_then_they_are_asked_by_themselves() -> None:
    harness = ready(ACCOUNT, 2)
    harness.venue.hold()
    plain = harness.strategies["plain"]
    late = harness.call(plain.buy, INSTRUMENT.id, Price(3_000), Size(100))
    harness.publish(EVERYTHING)
    harness.venue.release()
    assert harness.orders() == ()
    assert late.order is not None
    assert late.order.status is OrderStatus.CANCELLED


def test_request_when_an_order_has_come_that_is_to_stay_then_it_does_not_leave() -> None:
    # Half a cancel's tokens are left: it waits while others trade.
    limits = RateLimits(
        (Pool("write", 50, 10),), (Cost(RequestKind.NEW, "write", 10), Cost(RequestKind.CANCEL, "write", 20))
    )
    harness = TradingHarness(terms=VenueTerms(cancel_all=ACCOUNT), limits=limits)
    plain = harness.add("plain", Plain)
    harness.venue.quote(bid="0.40", ask="0.60")
    first = [harness.call(plain.buy, INSTRUMENT.id, Price(3_000), Size(100)) for _ in range(4)]
    assert [one.is_open for one in first] == [True] * 4
    harness.publish(EVERYTHING)
    assert asked(harness) == ONE_REQUEST
    stays = msgspec.structs.replace(external(), venue_order_id="v-late", client_order_id="late")
    assert isinstance(stays, OrderSnapshot)
    adopt(harness, stays)
    harness.advance(ms=5_000)
    assert [one for one in harness.venue.requests if isinstance(one.intent, CancelAll)] == []
    harness.reconcile()
    harness.advance(ms=60_000)
    harness.reconcile()
    harness.advance(ms=60_000)
    assert "late" in names(harness)
    assert [one.order.status for one in first if isinstance(one.order, Order)] == [OrderStatus.CANCELLED] * 4


def adopt(harness: TradingHarness, snapshot: OrderSnapshot) -> None:
    """The venue has this order, and it is given to the strategy."""
    harness.venue.orders["late"] = snapshot
    harness.publish(snapshot)
    harness.publish(adoption(snapshot, "plain", 2))


def test_restart_when_a_cancel_of_all_was_asked_for_then_its_orders_are_still_to_end() -> None:
    harness = ready(ACCOUNT, 2, hold=True)
    harness.publish(EVERYTHING)
    harness.restart()
    harness.reconcile()
    assert harness.orders() == ()


def test_orders_when_the_venue_lists_no_open_orders_then_each_is_ended_by_itself() -> None:
    terms = VenueTerms(cancel_all=ACCOUNT, open_orders=False)
    harness = TradingHarness(terms=terms)
    plain = harness.add("plain", Plain)
    harness.venue.quote(bid="0.40", ask="0.60")
    for _ in range(2):
        harness.call(plain.buy, INSTRUMENT.id, Price(3_000), Size(100))
    each = single(harness)
    harness.publish(EVERYTHING)
    assert asked(harness) == each
    assert harness.orders() == ()
