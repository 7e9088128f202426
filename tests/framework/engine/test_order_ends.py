"""What a strategy sees of an order that ends: never the end without the fills that ended it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.account_events import Fill, OrderReport, OrderSnapshot, ReportKind
from framework.domain.events import Event
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderStatus, Side, TimeInForce
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.views import BookView
from framework.state.orders import index
from framework.state.orders.evidence import status_of
from framework.testing import INSTRUMENT, TradingHarness

SIZE, PRICE = Size(1_000), Price(4_000)
IOC, FOK, GTC = TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL, TimeInForce.GOOD_TILL_CANCELLED


class Momentum(Strategy[None]):
    """Buys once, and notes in every hook what it sees of its order."""

    def __init__(self, name: str, settings: None, desk: object) -> None:
        super().__init__(name, settings, desk)  # type: ignore[arg-type]
        self.handle: OrderHandle | None = None
        self.seen: list[tuple[OrderStatus, int, int, int]] = []
        self.told = 0

    def enter(self, time_in_force: TimeInForce) -> None:
        self.handle = self.buy(INSTRUMENT.id, PRICE, SIZE, time_in_force=time_in_force)

    def on_book(self, book: BookView) -> None:
        self.look()

    def on_fill(self, fill: Fill, order: Order) -> None:
        self.look()

    def on_order(self, order: Order) -> None:
        self.look()

    def look(self) -> None:
        """What any hook may find."""
        assert self.handle is not None
        order = self.handle.order
        assert order is not None
        exposure = self.desk.exposure(INSTRUMENT.id)
        assert exposure.position == self.desk.position(INSTRUMENT.id).size
        assert exposure.position + exposure.open_buy >= self.told, "what the venue told of is held or reserved (I17)"
        assert 0 <= exposure.in_flight_buy <= exposure.open_buy
        if order.status.is_final:
            assert order.filled >= self.told, f"{order.status.value} with {order.filled} of {self.told} filled"
            assert exposure.position == order.filled
        self.seen.append((order.status, order.filled, exposure.position, exposure.open_buy))


def begin(time_in_force: TimeInForce) -> tuple[TradingHarness, Momentum]:
    """An order on its way to a venue that does not answer by itself."""
    harness = TradingHarness()
    strategy = harness.add("momentum", Momentum)
    harness.venue.hold()
    harness.call(strategy.enter, time_in_force)
    return harness, strategy


def told_by(event: Event) -> int:
    """How much of the order was filled, by the event alone."""
    return int(getattr(event, "filled", None) or 0) if isinstance(event, OrderReport | OrderSnapshot) else 0


def tell(harness: TradingHarness, strategy: Momentum, events: Sequence[Event]) -> None:
    """Let the strategy hear events; every hook looks, and so does one of the market in between."""
    booked: dict[str, int] = {}
    for event in events:
        if isinstance(event, Fill):
            booked[event.fill_id] = event.size
        strategy.told = max(strategy.told, told_by(event), sum(booked.values()))
        harness.publish(event)
        harness.venue.quote(bids=[("0.39", 10)], asks=[("0.41", 10)])


def report(strategy: Momentum, kind: ReportKind, filled: int) -> OrderReport:
    assert strategy.handle is not None
    return OrderReport(
        venue=INSTRUMENT.venue,
        client_order_id=strategy.handle.client_order_id,
        kind=kind,
        ts_recv=1,
        venue_order_id="v1",
        filled=Size(filled),
    )


def listing(strategy: Momentum, filled: int, *, is_open: bool) -> OrderSnapshot:
    assert strategy.handle is not None
    return OrderSnapshot(
        venue=INSTRUMENT.venue,
        venue_order_id="v1",
        client_order_id=strategy.handle.client_order_id,
        instrument=INSTRUMENT.id,
        side=Side.BUY,
        price=PRICE,
        size=SIZE,
        filled=Size(filled),
        is_open=is_open,
        ts_recv=1,
    )


def trade(number: int, size: int, *, name: str = "") -> Fill:
    return Fill(
        venue=INSTRUMENT.venue,
        instrument=INSTRUMENT.id,
        fill_id=f"f{number}",
        venue_order_id="v1",
        client_order_id=name,
        side=Side.BUY,
        price=PRICE,
        size=Size(size),
        fee=Money(0),
        is_maker=False,
        ts_venue=number,
        ts_recv=1,
    )


def answered_before_its_fill() -> tuple[TradingHarness, Momentum]:
    harness, strategy = begin(IOC)
    tell(harness, strategy, [report(strategy, ReportKind.ACCEPTED, SIZE)])
    return harness, strategy


def test_order_when_its_answer_comes_before_its_fills_then_it_is_ending_until_they_are_booked() -> None:
    harness, strategy = answered_before_its_fill()
    assert strategy.seen[-1] == (OrderStatus.ENDING, 0, 0, SIZE)
    assert strategy.handle is not None
    assert strategy.handle.is_open
    assert [order.client_order_id for order in strategy.desk.orders()] == [strategy.handle.client_order_id]

    tell(harness, strategy, [trade(1, SIZE)])

    assert strategy.seen[-1] == (OrderStatus.FILLED, SIZE, SIZE, 0)
    assert not strategy.desk.orders()


def test_order_when_ends_are_shown_at_once_then_the_look_of_a_hook_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "status_shown", lambda order, evidence, **_: status_of(order, evidence))
    with pytest.raises(AssertionError, match="filled with 0 of 1000 filled"):
        answered_before_its_fill()


def test_order_when_it_is_ending_then_it_is_neither_cancelled_nor_changed() -> None:
    harness, strategy = answered_before_its_fill()
    assert strategy.handle is not None
    before = len(harness.venue.requests)
    for verdict in (harness.call(strategy.handle.cancel), harness.call(strategy.handle.amend, Price(4_100), SIZE)):
        assert getattr(verdict, "code", None) is not None
    assert [refused.code.value for refused in harness.refusals] == ["ORDER_FINAL", "ORDER_FINAL"]
    harness.advance(ms=100)
    assert len(harness.venue.requests) == before


@st.composite
def lives(draw: st.DrawFn) -> tuple[TimeInForce, list[tuple[str, int]]]:
    """An order's time in force and the sizes of its trades, as (fill id, size)."""
    time_in_force = draw(st.sampled_from([IOC, FOK, GTC]))
    parts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    if time_in_force is FOK:
        parts.append(10 - min(sum(parts), 9))
    sizes: list[int] = []
    for part in parts:
        sizes.append(min(part * 100, int(SIZE) - sum(sizes)))
    return time_in_force, [(f"f{number}", size) for number, size in enumerate(sizes) if size]


def facts_of(strategy: Momentum, fills: list[tuple[str, int]]) -> list[Event]:
    """Everything that the venue tells of such a life, on every channel, in the order in which it happens."""
    facts: list[Event] = []
    filled = 0
    for number, (_, size) in enumerate(fills):
        filled += size
        facts += [trade(number, size), listing(strategy, filled, is_open=filled < SIZE)]
    facts.insert(0, report(strategy, ReportKind.ACCEPTED, filled))
    if filled < SIZE:
        facts.insert(1, report(strategy, ReportKind.CANCELLED, filled))
    return [*facts, listing(strategy, filled, is_open=False)]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_hooks_when_answers_fills_and_listings_come_in_any_order_then_no_end_is_seen_before_its_fills(
    data: st.DataObject,
) -> None:
    time_in_force, fills = data.draw(lives())
    harness, strategy = begin(time_in_force)
    facts = facts_of(strategy, fills)
    shuffled = data.draw(st.permutations([*facts, *data.draw(st.lists(st.sampled_from(facts), max_size=3))]))
    tell(harness, strategy, shuffled)

    filled = sum(size for _, size in fills)
    status = OrderStatus.FILLED if filled == SIZE else OrderStatus.CANCELLED
    assert strategy.seen[-1] == (status, filled, filled, 0)
    ends = [seen for seen in strategy.seen if seen[0].is_final]
    assert {seen[1] for seen in ends} == {filled}
