"""The order flow: lively two-sided books, fills for a patient maker, the same orders from the same seed."""

from collections import Counter
from typing import Any

import pytest

from connectors.kalshi.sandbox.listings import Schedule, generate
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.agents import lot_of, step_of
from connectors.sandbox.engine.events import BookChange, FillEvent, TradePrint
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.flow import OrderFlow
from connectors.sandbox.engine.model import FeeModel, MarketSpec, OrderRequest, PriceBand
from connectors.sandbox.seeding import seeded

START_NS = 1_795_219_200 * 1_000_000_000
STEP_NS = 50_000_000
STEPS_PER_S = 20


def lively(
    seed: int, *, count: int = 2, speed: float = 1.0, schedule: Schedule | None = None
) -> tuple[Exchange, OrderFlow]:
    exchange = Exchange(seeded(seed, "exchange"), now_ns=START_NS)
    listings = generate(seeded(seed, "markets"), now_ns=START_NS, count=count, schedule=schedule or Schedule())
    for market in listings.markets:
        exchange.add_market(market.spec, START_NS)
    prices = {market.spec.market_id: market.opening_price for market in listings.markets}
    return exchange, OrderFlow(exchange, seed=seed, speed=speed, opening_prices=prices)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_books_when_the_flow_runs_then_they_are_two_sided_and_tight(seed: int) -> None:
    exchange, flow = lively(seed)
    spreads: Counter[int] = Counter()
    looks = 120 * STEPS_PER_S
    for step in range(looks):
        flow.step(START_NS + step * STEP_NS)
        for book in exchange.state.books.values():
            bid, ask = book.best("bid"), book.best("ask")
            if bid is not None and ask is not None:
                spreads[(ask - bid) // 100] += 1
        exchange.drain()
    two_sided = spreads.total()
    assert two_sided >= 0.95 * 2 * looks
    assert sum(spreads[ticks] for ticks in range(1, 5)) >= 0.95 * two_sided
    assert audit_report.problems(exchange) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_maker_when_it_quotes_ten_contracts_at_the_touch_then_each_market_fills_it_every_few_seconds(seed: int) -> None:
    exchange, flow = lively(seed)
    exchange.add_account("maker", {"USD": 10**12})
    fills: Counter[str] = Counter()
    seconds = 120
    for second in range(seconds):
        for step in range(STEPS_PER_S):
            flow.step(START_NS + (second * STEPS_PER_S + step) * STEP_NS)
        now_ns = exchange.state.now_ns
        requote(exchange, now_ns)
        fills.update(event.fill.market_id for event in exchange.drain() if isinstance(event, FillEvent))
    assert set(fills) == set(exchange.state.markets)
    assert min(fills.values()) >= seconds / 5
    assert audit_report.problems(exchange) == []


def requote(exchange: Exchange, now_ns: int) -> None:
    """Join the touch on both sides with ten contracts, keeping orders that are there already."""
    for market_id, book in exchange.state.books.items():
        for side in ("bid", "ask"):
            touch = book.best(side)
            working = exchange.state.accounts["maker"].working.get(market_id, {})
            own = [order for order in working.values() if order.side == side]
            if touch is None or any(order.price == touch and order.remaining == 1000 for order in own):
                continue
            for order in own:
                exchange.cancel("maker", order.order_id, now_ns=now_ns)
            exchange.submit(
                OrderRequest(account="maker", market_id=market_id, side=side, price=touch, size=1000, post_only=True),
                now_ns,
            )


def test_flow_when_it_runs_on_one_seed_twice_then_the_tapes_are_equal() -> None:
    tapes = []
    for _ in range(2):
        exchange, flow = lively(4)
        for step in range(30 * STEPS_PER_S):
            flow.step(START_NS + step * STEP_NS)
        tapes.append([event for event in exchange.drain() if isinstance(event, TradePrint)])
    assert tapes[0] == tapes[1]
    assert len(tapes[0]) > 20


def test_flow_when_stepped_rarely_then_actions_still_happen_at_their_own_times() -> None:
    exchange, flow = lively(4)
    flow.step(START_NS)
    flow.step(START_NS + 1_500_000_000)
    times = {event.ns for event in exchange.drain() if isinstance(event, BookChange)}
    assert len([ns for ns in times if START_NS < ns < START_NS + 1_500_000_000]) > 5


def test_flow_when_the_caller_was_away_for_long_then_the_missed_actions_are_skipped() -> None:
    exchange, flow = lively(4)
    flow.step(START_NS)
    flow.step(START_NS + 3_600 * 1_000_000_000)
    assert flow.actions < 100
    assert exchange.state.now_ns <= START_NS + 3_600 * 1_000_000_000


def test_flow_when_faster_then_it_acts_more_often() -> None:
    actions = []
    for speed in (1.0, 4.0):
        _, flow = lively(4, speed=speed)
        for step in range(20 * STEPS_PER_S):
            flow.step(START_NS + step * STEP_NS)
        actions.append(flow.actions)
    assert 3 * actions[0] < actions[1] < 5 * actions[0]


def test_flow_when_stopped_then_nothing_happens() -> None:
    exchange, flow = lively(4, speed=0)
    exchange.drain()
    flow.step(START_NS + 10**9)
    assert exchange.drain() == []


def test_flow_when_markets_close_then_they_settle_and_everything_adds_up() -> None:
    schedule = Schedule(close_after_s=10, stagger_s=5, determine_after_s=1, settle_after_s=1)
    exchange, flow = lively(4, count=3, schedule=schedule)
    for step in range(40 * STEPS_PER_S):
        now_ns = START_NS + step * STEP_NS
        flow.step(now_ns)
        exchange.advance(now_ns)
    assert {market.status for market in exchange.state.markets.values()} == {"finalized"}
    assert {market.result for market in exchange.state.markets.values()} <= {"yes", "no"}
    assert all(market.volume > 0 for market in exchange.state.markets.values())
    assert exchange.ledger.orders == {}
    assert audit_report.problems(exchange) == []


def test_flow_when_the_market_is_spot_then_it_trades_there_too() -> None:
    spec = MarketSpec(
        market_id="BTC-USD",
        kind="spot",
        price_decimals=2,
        size_decimals=4,
        bands=(PriceBand(0, 10**9, 50),),
        size_step=10,
        base="BTC",
        fees=FeeModel("notional", taker_ppm=1_000, balance_step=1),
    )
    exchange = Exchange(seeded(1, "exchange"), now_ns=START_NS)
    exchange.add_market(spec, START_NS)
    flow = OrderFlow(exchange, seed=1, opening_prices={"BTC-USD": 60_000_00})
    for step in range(30 * STEPS_PER_S):
        flow.step(START_NS + step * STEP_NS)
    assert exchange.state.markets["BTC-USD"].volume > 0
    assert abs(flow.fair("BTC-USD") - 60_000_00) < 60_000_00 // 10
    assert audit_report.problems(exchange) == []


CHEAP = {"price_decimals": 4, "size_decimals": 1, "bands": (PriceBand(0, 10**7, 1),)}
DEAR = {"price_decimals": 1, "size_decimals": 3, "bands": (PriceBand(0, 10**8, 1),)}
NOTIONAL = FeeModel("notional", taker_ppm=500, maker_ppm=200, rounding="up")


@pytest.mark.parametrize(
    ("scale", "start", "lot", "step"), [(DEAR, 630_000, 1, 126), (DEAR, 1_000, 1_000, 1), (CHEAP, 5_600, 1_785, 1)]
)
@pytest.mark.parametrize("kind", ["spot", "perpetual"])
def test_flow_when_a_coin_is_dear_or_cheap_then_sizes_and_ladders_fit_it(
    kind: Any, scale: dict[str, Any], start: int, lot: int, step: int
) -> None:
    spec = MarketSpec(market_id="C", kind=kind, base="C" if kind == "spot" else "", fees=NOTIONAL, **scale)
    assert (lot_of(spec, start), step_of(spec, start)) == (lot, step)
    exchange = Exchange(seeded(1, "exchange"), now_ns=START_NS)
    exchange.add_market(spec, START_NS)
    flow = OrderFlow(exchange, seed=1, opening_prices={"C": start})
    for at in range(30 * STEPS_PER_S):
        flow.step(START_NS + at * STEP_NS)
    book, market = exchange.state.books["C"], exchange.state.markets["C"]
    bid, ask = book.best("bid"), book.best("ask")
    assert bid is not None
    assert ask is not None
    assert 0 < ask - bid <= 6 * step
    assert abs(bid - flow.fair("C")) <= 8 * step
    assert min(len(book.levels("bid")), len(book.levels("ask"))) >= 8
    assert market.volume > 30 * lot
    assert audit_report.problems(exchange) == []


def test_lot_when_the_market_has_minimums_then_it_is_as_large() -> None:
    spec = MarketSpec(market_id="C", kind="spot", base="C", size_step=7, size_min=20, notional_min=10**8, **DEAR)
    assert lot_of(spec, 630_000) == 161
    assert lot_of(spec, 63_000_000) == 21


def test_flow_when_the_mark_of_a_perpetual_jumps_then_the_agents_follow_it() -> None:
    exchange = Exchange(seeded(1, "exchange"), now_ns=START_NS)
    exchange.add_market(MarketSpec(market_id="P", kind="perpetual", fees=NOTIONAL, **DEAR), START_NS)
    flow = OrderFlow(exchange, seed=1, opening_prices={"P": 630_000})
    for at in range(10 * STEPS_PER_S):
        flow.step(START_NS + at * STEP_NS)
    book, market = exchange.state.books["P"], exchange.state.markets["P"]
    assert abs(market.mark_price - 630_000) < 10_000
    assert exchange.set_mark("P", 700_000, now_ns=exchange.state.now_ns) is None
    for at in range(10 * STEPS_PER_S, 20 * STEPS_PER_S):
        flow.step(START_NS + at * STEP_NS)
    assert abs(market.mark_price - 700_000) < 10_000
    assert abs((book.best("bid") or 0) - market.mark_price) < 2_000
    assert audit_report.problems(exchange) == []


def test_flow_when_a_spot_market_has_no_price_then_it_says_what_is_missing() -> None:
    exchange = Exchange(seeded(1, "exchange"), now_ns=START_NS)
    exchange.add_market(MarketSpec(market_id="BTC-USD", kind="spot", base="BTC"), START_NS)
    with pytest.raises(ValueError, match="opening_prices has no price for BTC-USD"):
        OrderFlow(exchange, seed=1).step(START_NS)


def test_flow_when_the_speed_is_out_of_range_then_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="speed is -1"):
        OrderFlow(Exchange(seeded(1), now_ns=START_NS), seed=1, speed=-1)
