"""A strategy opens positions in its own instruments only, unless its configuration says otherwise."""

from __future__ import annotations

from typing import Any

import msgspec

from framework.domain.account_events import OrderAdopted
from framework.domain.instruments import InstrumentId
from framework.domain.intents import AmendOrder, CancelOrder
from framework.domain.orders import Order, Side
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.verdicts import Approved, RefusalCode
from framework.testing import INSTRUMENT, TradingHarness

OTHER = msgspec.structs.replace(INSTRUMENT, id=InstrumentId(f"{INSTRUMENT.venue}:OTHER"), symbol="OTHER")


class Plain(Strategy[None]):
    """Does what the test does with its methods."""


def quoted() -> TradingHarness:
    harness = TradingHarness(instruments=[INSTRUMENT, OTHER])
    for instrument in (INSTRUMENT.id, OTHER.id):
        harness.venue.quote(bid="0.40", ask="0.44", instrument=instrument)
    return harness


def ask(
    harness: TradingHarness, side: Side, size: str, of: InstrumentId = OTHER.id, strategy: str = "a"
) -> OrderHandle:
    asking: Any = harness.strategies[strategy]
    price, method = ("0.41", asking.buy) if side is Side.BUY else ("0.40", asking.sell)
    handle = harness.call(method, of, INSTRUMENT.price(price), INSTRUMENT.size(size))
    assert isinstance(handle, OrderHandle)
    return handle


def give(harness: TradingHarness, order: Order) -> None:
    """The operator gives an order of another strategy to this one."""
    harness.publish(
        OrderAdopted(
            venue=order.venue,
            venue_order_id=order.venue_order_id,
            client_order_id=order.client_order_id,
            strategy="a",
            instrument=order.instrument,
            side=order.side,
            price=order.price,
            size=order.size,
            filled=order.filled,
            time_in_force=order.time_in_force,
            ts_recv=1,
        )
    )


def test_order_when_the_instrument_is_not_the_strategys_then_refused_with_the_key_that_allows_it() -> None:
    harness = quoted()
    harness.add("a", Plain, instruments=[INSTRUMENT.id])
    assert not ask(harness, Side.BUY, "1").is_approved
    (refused,) = harness.refusals
    assert (refused.code, refused.check) == (RefusalCode.NOT_ALLOWED, "kernel")
    assert "strategies.a.trade_anything" in refused.detail
    assert ask(harness, Side.BUY, "1", INSTRUMENT.id).is_approved


def test_order_when_the_configuration_allows_any_instrument_then_passes_also_after_a_restart() -> None:
    harness = quoted()
    harness.add("a", Plain, instruments=[INSTRUMENT.id], trade_anything=True)
    assert ask(harness, Side.BUY, "1").is_approved
    harness.restart()
    harness.venue.quote(bid="0.40", ask="0.44", instrument=OTHER.id)
    assert ask(harness, Side.BUY, "1").is_approved


def test_order_when_the_strategy_holds_another_instrument_then_it_can_change_and_close_but_not_open() -> None:
    harness = quoted()
    harness.add("a", Plain, instruments=[INSTRUMENT.id])
    harness.add("b", Plain)
    bid = ask(harness, Side.BUY, "10", strategy="b")
    (order,) = harness.orders("b")
    give(harness, order)
    amend = AmendOrder(strategy="a", client_order_id=bid.client_order_id, price=order.price, size=OTHER.size("8"))
    assert isinstance(harness.submit(amend), Approved)
    harness.venue.fill(bid, size="4")
    assert isinstance(harness.submit(CancelOrder(strategy="a", client_order_id=bid.client_order_id)), Approved)
    assert not ask(harness, Side.BUY, "1").is_approved
    assert not ask(harness, Side.SELL, "5").is_approved, "it would turn the position"
    assert ask(harness, Side.SELL, "4").is_approved
    assert harness.position("a", OTHER.id).size == 0


def test_exit_when_it_is_amended_outside_its_own_instruments_then_it_may_move_and_shrink_but_not_grow() -> None:
    harness = quoted()
    harness.add("a", Plain, instruments=[INSTRUMENT.id])
    harness.add("b", Plain)
    bid = ask(harness, Side.BUY, "10", strategy="b")
    (order,) = harness.orders("b")
    give(harness, order)
    harness.venue.fill(bid, size="10")
    strategy: Any = harness.strategies["a"]
    rests = harness.call(strategy.sell, OTHER.id, OTHER.price("0.45"), OTHER.size("4"))

    def amend(price: str, size: str) -> bool:
        (order,) = harness.orders("a")
        name = order.client_order_id
        asked = AmendOrder(strategy="a", client_order_id=name, price=OTHER.price(price), size=OTHER.size(size))
        return isinstance(harness.submit(asked), Approved)

    assert rests.is_approved
    assert not amend("0.45", "18"), "it could turn the position"
    assert harness.refusals[-1].code is RefusalCode.NOT_ALLOWED
    assert amend("0.46", "4")
    assert amend("0.46", "3")
