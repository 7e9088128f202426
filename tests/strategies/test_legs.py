"""Legs that are sent together and come out even: what is common to all strategies that have them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from framework.domain.account_events import Fill, Scope, TradingState, TradingStateChanged
from framework.domain.instruments import Instrument, InstrumentId, TickBand
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side, TimeInForce
from framework.domain.ports import Proposal, RiskView
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import Strategy
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Refusal, RefusalCode
from framework.testing import INSTRUMENT, TradingHarness
from strategies.legs import Leg, LegSettings, LegTrader, reach
from tests.support.desk import QuotedBook


def instrument(name: str) -> Instrument:
    return msgspec.structs.replace(
        INSTRUMENT,
        id=InstrumentId(f"{name}:TEST"),
        venue=name,
        tick_bands=(TickBand(Price(100), Price(9_900), Price(100)),),
    )


ONE, TWO = instrument("one"), instrument("two")


class Pair(Strategy[LegSettings]):
    """Does with its legs what a test asks for."""

    Settings: ClassVar[type[LegSettings]] = LegSettings

    def on_start(self) -> None:
        self.trader = LegTrader(self, self.settings)
        self.trader.resume()
        self.on_timer("check")

    def on_timer(self, name: str) -> None:
        self.trader.look()
        self.desk.set_timer("check", after_ms=100)

    def on_fill(self, fill: Fill, order: Order) -> None:
        self.trader.look()

    def on_order(self, order: Order) -> None:
        self.trader.look()

    def begin(self, size: int = 1_000, rest: int = 0) -> bool:
        """Buy at the first venue up to 0.50, sell at the second down to 0.60; three cents are the bound."""
        return self.trader.begin(
            [self.leg(ONE, Side.BUY, 5_000, size, rest), self.leg(TWO, Side.SELL, 6_000, size, rest)]
        )

    def leg(self, of: Instrument, side: Side, price: int, size: int, rest: int) -> Leg:
        return Leg(instrument=of.id, side=side, price=Price(price), size=Size(size), slip=Price(300), rest=Size(rest))


class RefuseSecond:
    """A check that lets nothing through at the second venue."""

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        return Refusal(RefusalCode.PLUGIN_CHECK) if proposal.instrument.venue == "two" else None


class World:
    """Two venues, quoted so that both legs trade."""

    def __init__(self, *, settings: dict[str, int] | None = None, **options: Any) -> None:
        self.harness = TradingHarness(instruments=[ONE, TWO], **options)
        self.harness.add("pair", Pair, settings or {})
        self.one, self.two = self.harness.venues["one"], self.harness.venues["two"]
        self.quote()

    @property
    def pair(self) -> Pair:
        found = self.harness.strategies["pair"]
        assert isinstance(found, Pair)
        return found

    def quote(self, *, one: tuple[str, str] = ("0.48", "0.50"), two: tuple[str, str] = ("0.60", "0.62")) -> None:
        self.one.quote(bid=one[0], ask=one[1])
        self.two.quote(bid=two[0], ask=two[1])

    def begin(self, **options: int) -> bool:
        return self.harness.call(self.pair.begin, **options)

    def wait(self, ms: int, **prices: tuple[str, str]) -> None:
        for _ in range(ms // 100):
            self.harness.advance(ms=100)
            self.quote(**prices)

    def held(self) -> tuple[int, int]:
        return self.harness.position("pair", ONE.id).size, self.harness.position("pair", TWO.id).size

    def messages(self) -> list[str]:
        return [message for message, _ in self.harness.recorder.lines]


def test_legs_when_the_gate_refuses_one_then_none_leaves_and_a_pause_follows() -> None:
    world = World(checks=[RefuseSecond()])
    assert world.begin() is False
    assert (world.one.requests, world.two.requests, world.held()) == ([], [], (0, 0))
    world.wait(4_900)
    assert not world.pair.trader.is_idle
    world.wait(300)
    assert world.pair.trader.is_idle
    assert world.messages() == ["leg refused", "legs are even"]


def test_legs_when_the_rate_limits_leave_no_second_order_then_none_is_sent() -> None:
    pool = Pool("all", capacity=3, refill=1)
    limits = RateLimits(pools=(pool,), costs=tuple(Cost(kind, "all", 2) for kind in RequestKind))
    world = World(limits=limits)
    assert world.begin() is False
    assert world.harness.intents == []


def test_legs_when_another_trade_is_not_even_then_a_new_one_does_not_begin() -> None:
    world = World()
    world.two.hold()
    assert world.begin() is True
    world.wait(200)
    assert world.begin() is False
    assert len(world.harness.intents) == 2


def test_leg_when_the_venue_has_no_immediate_or_cancel_then_it_rests_is_cancelled_and_worked_out() -> None:
    world = World(terms=VenueTerms(times_in_force=(TimeInForce.GOOD_TILL_CANCELLED,)))
    world.quote(two=("0.58", "0.62"))
    world.begin()
    world.wait(900, two=("0.58", "0.62"))
    assert world.held() == (1_000, 0)
    assert len(world.harness.intents) == 2
    world.wait(500, two=("0.58", "0.62"))
    assert world.held() == (1_000, -1_000)
    kinds = [type(one) for one in world.harness.intents]
    assert kinds == [NewOrder, NewOrder, CancelOrder, NewOrder]


def test_fill_when_it_comes_long_after_the_legs_were_even_then_it_is_flattened_as_soon_as_that_is_allowed() -> None:
    world = World()
    world.two.lose_next(reached=False)
    world.begin()
    lost = world.harness.orders("pair", TWO.id)[0]
    world.harness.reconcile()
    world.wait(11_000)
    assert world.held() == (1_000, -1_000)

    # A fill of an order that never arrived halts the instrument until an operator has seen it.
    world.harness.publish(late_fill(lost, world.harness.clock.now_ns()))
    world.wait(11_000)
    assert world.held() == (1_000, -2_000)
    assert world.messages().count("leg refused") == 2

    now_ns = world.harness.clock.now_ns()
    world.harness.publish(
        TradingStateChanged(
            scope=Scope.INSTRUMENT,
            target=TWO.id,
            state=TradingState.ACTIVE,
            reason="seen",
            ts_recv=now_ns,
            by="operator",
        )
    )
    world.wait(1_000)
    assert world.held() == (1_000, -1_000)
    assert world.messages()[-2:] == ["flattens a leg", "legs are even"]


def late_fill(order: Order, now_ns: int) -> Fill:
    """All of the order, at its price."""
    return Fill(
        venue=order.venue, instrument=order.instrument, fill_id="late", venue_order_id="late", side=order.side,
        client_order_id=order.client_order_id, price=order.price, size=order.size, fee=Money(0), is_maker=False,
        ts_venue=now_ns, ts_recv=now_ns,
    )  # fmt: skip


def test_rest_when_it_is_small_then_it_is_carried_over_and_traded_with_the_next_one() -> None:
    world = World(settings={"work_out_ms": 0})
    world.two.quote(bids=[("0.60", "9.5")], asks=[("0.62", 100)])
    world.begin(rest=60)
    assert world.held() == (1_000, -950)
    assert world.messages() == ["legs are even"]
    world.wait(5_100, two=("0.60", "0.62"))
    world.two.quote(bids=[("0.60", "9.5"), ("0.59", 100)], asks=[("0.62", 100)])
    world.begin(rest=60)
    # Together one contract more has been bought than sold: that is too much, and is flattened.
    assert world.held() == (1_900, -1_900)


def test_restart_when_something_else_was_saved_then_the_start_fails() -> None:
    world = World()
    world.harness.call(world.pair.desk.save, b"{}")
    with pytest.raises(msgspec.DecodeError):
        world.harness.restart()


def test_restart_when_its_market_is_gone_then_it_begins_anew() -> None:
    world = World()
    saved = b'{"legs":[{"instrument":"one:GONE","side":"buy","price":1,"size":1,"slip":1}],"began_ns":1}'
    world.harness.call(world.pair.desk.save, saved)
    world.harness.restart()
    world.harness.advance(ms=100)
    world.quote()
    assert world.begin() is True


@pytest.mark.parametrize(
    ("size", "worst", "price"),
    [
        (10, 5_500, 5_000),
        (11, 5_500, 5_200),
        (99, 5_500, 5_200),
        (99, 5_600, 5_600),
        (1, 4_900, None),
        (0, 5_500, None),
    ],
)
def test_reach_when_a_size_is_wanted_then_the_last_level_that_it_needs_within_the_worst_price(
    size: int, worst: int, price: int | None
) -> None:
    book = QuotedBook(ONE.id, asks=[(5_000, 10), (5_200, 10), (5_600, 10)])
    assert reach(book, Side.BUY, size, Price(worst)) == price
