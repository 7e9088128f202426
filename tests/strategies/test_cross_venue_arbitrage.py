"""A coin at two venues: what is traded, what is left alone, and how legs come out even."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from framework.domain.instruments import FeeSchedule, Instrument, InstrumentId, InstrumentKind, TickBand
from framework.domain.intents import NewOrder
from framework.domain.market_events import MarkPrice
from framework.domain.numbers import Price
from framework.domain.terms import VenueTerms
from framework.testing import TradingHarness
from strategies.cross_venue_arbitrage import CrossVenueArbitrage, CrossVenueSettings


def instrument(venue: str, kind: InstrumentKind, *, price_decimals: int, size_decimals: int, fee: str) -> Instrument:
    return Instrument(
        id=InstrumentId(f"{venue}:BTC"),
        venue=venue,
        symbol="BTC",
        kind=kind,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_bands=(TickBand(Price(1), Price(10**8), Price(1)),),
        base_currency="BTC",
        quote_currency="USDT",
        fees=FeeSchedule(taker_rate=fee),
    )


NEAR = instrument("near", InstrumentKind.SPOT, price_decimals=2, size_decimals=4, fee="0.001")
FAR = instrument("far", InstrumentKind.SPOT, price_decimals=1, size_decimals=3, fee="0.002")
PERP = instrument("perp", InstrumentKind.PERPETUAL, price_decimals=1, size_decimals=3, fee="0.0005")
SETTINGS = {
    "size_max": "1",
    "position_max": "2",
    "edge_bps_min": 10,
    "bound_bps": 100,
    "depth_percent": 50,
    "inventory": {"far:BTC": "1.5"},
}


class World:
    """Two venues, and the strategy; prices are set for a coin near 100."""

    def __init__(self, other: Instrument = FAR, terms: VenueTerms | None = None, **settings: object) -> None:
        kept = dict(SETTINGS) if other.kind is InstrumentKind.SPOT else {**SETTINGS, "inventory": {}}
        more: dict[str, Any] = {} if terms is None else {"terms": terms}
        self.harness = TradingHarness(instruments=[NEAR, other], **more)
        self.other = other
        self.harness.add("arb", CrossVenueArbitrage, kept | settings)
        self.near, self.far = self.harness.venues["near"], self.harness.venues[other.venue]

    def mark(self, rate: str) -> None:
        now_ns = self.harness.clock.now_ns()
        self.harness.publish(MarkPrice(self.other.id, now_ns, now_ns, Price(1_000), funding_rate=rate))

    def quote(self, near: tuple[str, str], far: tuple[str, str], size: str = "4") -> None:
        """Near first: what is bought there is sold far."""
        self.near.quote(bid=near[0], ask=near[1], size=size)
        self.far.quote(bid=far[0], ask=far[1], size=size)

    def held(self) -> tuple[int, int]:
        return self.harness.position("arb", NEAR.id).size, self.harness.position("arb", self.other.id).size

    def sent(self) -> list[tuple[str, str, int, int]]:
        return [
            (one.instrument, one.side.value, one.price, one.size)
            for one in self.harness.intents
            if isinstance(one, NewOrder)
        ]

    def lines(self, part: str) -> list[dict[str, object]]:
        return [fields for message, fields in self.harness.recorder.lines if part in message]


def test_spot_when_the_far_bid_is_above_all_costs_then_both_legs_trade_and_the_edge_is_earned_to_the_cent() -> None:
    world = World()
    world.quote(("99", "100"), ("101", "102"))
    assert world.sent() == [("near:BTC", "buy", 10_000, 10_000), ("far:BTC", "sell", 1_010, 1_000)]
    assert world.held() == (10_000, -1_000)
    # 101 x 0.998 - 100 x 1.001, in units of 10^-6
    assert [one["edge"] for one in world.lines("opens")] == ["0.698000"]
    fees = [
        NEAR.money(fill.fee) if fill.venue == "near" else FAR.money(fill.fee) for fill in world.harness.recorder.fills
    ]
    assert 101 - 100 - sum(fees) == NEAR.money(NEAR.amount("0.698"))
    assert [one["attempts"] for one in world.lines("even")] == [0]


@pytest.mark.parametrize(
    ("far_bid", "is_worth"),
    # 100 x (1 + 0.001 + 0.001) / (1 - 0.002) is 100.4008: fees and the least edge eat a bid of 100.4, not of 100.5.
    [("100.4", False), ("100.5", True)],
)
def test_spot_when_fees_and_the_least_edge_eat_the_difference_then_nothing_is_sent(
    far_bid: str, is_worth: bool
) -> None:
    world = World()
    world.quote(("99", "100"), (far_bid, "102"))
    assert bool(world.sent()) is is_worth


def test_depth_when_deeper_levels_pay_less_then_only_what_pays_and_half_of_what_is_shown_is_traded() -> None:
    world = World(size_max="9", position_max="9", inventory={"far:BTC": "9"})
    world.near.quote(bids=[("99", 1)], asks=[("100", "0.6"), ("100.2", "0.5"), ("100.9", 9)])
    world.far.quote(bids=[("101", "0.4"), ("100.8", "2"), ("100.3", 9)], asks=[("103", 1)])
    # Of the asks 0.3 and 0.25 are counted, of the bids 0.2 and 1: 100.2 against 100.8 still pays, 100.9 does not.
    assert world.sent() == [("near:BTC", "buy", 10_020, 5_500), ("far:BTC", "sell", 1_008, 550)]
    # (0.2 x 101 + 0.35 x 100.8) x 0.998 - (0.3 x 100 + 0.25 x 100.2) x 1.001
    assert [one["edge"] for one in world.lines("opens")] == ["0.263990"]


def test_size_when_the_lots_differ_then_it_is_a_multiple_of_both() -> None:
    world = World()
    world.near.quote(bid="99", ask="100", size="0.0246")
    world.far.quote(bid="101", ask="102", size="4")
    assert world.sent() == [("near:BTC", "buy", 10_000, 120), ("far:BTC", "sell", 1_010, 12)]


def test_spot_when_no_coins_are_there_to_sell_then_nothing_is_sent() -> None:
    world = World(inventory={})
    world.quote(("99", "100"), ("101", "102"))
    assert world.sent() == []


def test_position_when_it_reaches_its_limit_then_no_more_is_opened() -> None:
    world = World(inventory={"far:BTC": "9"})
    for _ in range(4):
        world.quote(("99", "100"), ("101", "102"))
        world.harness.advance(ms=100)
    assert world.held() == (20_000, -2_000)


def test_book_when_it_is_too_old_then_nothing_is_sent_until_it_is_proved_again() -> None:
    world = World()
    world.far.quote(bid="101", ask="102", size="4")
    world.harness.advance(ms=1_001)
    world.near.quote(bid="99", ask="100", size="4")
    assert world.sent() == []
    world.far.quote(bid="101", ask="102", size="4")
    assert len(world.sent()) == 2


def test_book_when_it_is_not_newer_than_the_last_trade_then_its_sizes_are_not_taken_again() -> None:
    world = World(inventory={"far:BTC": "9"})
    world.quote(("99", "100"), ("101", "102"))
    world.harness.advance(ms=100)
    world.near.quote(bid="99", ask="100", size="4")
    assert len(world.sent()) == 2
    world.far.quote(bid="101", ask="102", size="4")
    assert len(world.sent()) == 4


def test_perpetual_when_the_funding_rate_is_not_known_then_no_position_is_opened() -> None:
    world = World(PERP)
    world.quote(("99", "100"), ("101", "102"))
    assert world.sent() == []
    world.mark("0.0001")
    assert len(world.sent()) == 2


@pytest.mark.parametrize(("rate", "edge"), [("0.0001", "0.699000"), ("0", "0.699000"), ("-0.0001", "0.668700")])
def test_perpetual_when_who_is_short_pays_then_three_payments_are_costs_and_what_it_receives_is_not_counted(
    rate: str, edge: str
) -> None:
    world = World(PERP)
    world.mark(rate)
    world.quote(("99", "100"), ("101", "102"))
    # 101 x (1 - 2 x 0.0005 [- 3 x 0.0001]) - 100 x (1 + 2 x 0.001): the opening pays for the closing, too.
    assert [one["edge"] for one in world.lines("opens")] == [edge]


def test_perpetual_when_funding_eats_the_edge_then_nothing_is_sent() -> None:
    world = World(PERP)
    world.mark("-0.003")
    world.quote(("99", "100"), ("101", "102"))
    assert world.sent() == []


def test_perpetual_when_prices_have_met_again_then_the_position_is_closed_and_the_edge_is_the_whole_profit() -> None:
    world = World(PERP)
    world.mark("0")
    world.quote(("99", "100"), ("101", "102"))
    assert world.held() == (10_000, -1_000)
    world.harness.advance(ms=500)
    world.quote(("100.4", "100.5"), ("100.5", "100.6"))
    assert world.held() == (10_000, -1_000)
    world.harness.advance(ms=500)
    world.quote(("100.6", "100.7"), ("100.5", "100.6"))
    assert world.held() == (0, 0)
    near, perp = (world.harness.profit_and_loss("arb", one) for one in (NEAR.id, PERP.id))
    # 0.6 on the spot market and 0.4 on the perpetual, less 0.001 and 0.0005 of what was traded.
    assert (near.realised, near.fees) == (NEAR.amount("0.6"), NEAR.amount("0.2006"))
    assert (perp.realised, perp.fees) == (PERP.amount("0.4"), PERP.amount("0.1008"))


def lose_far(world: World, *, reached: bool) -> None:
    """The far venue dies when its leg is under way: no answer, and its streams are down."""
    world.far.lose_next(reached=reached)
    world.quote(("99", "100"), ("101", "102"))
    world.far.disconnect()


def test_venue_when_it_dies_between_the_legs_then_the_leg_is_held_and_reported_and_nothing_is_sent_again() -> None:
    world = World()
    lose_far(world, reached=False)
    assert world.held() == (10_000, 0)
    for _ in range(300):
        world.near.quote(bid="99", ask="100", size="4")
        world.harness.advance(ms=100)
    assert len(world.sent()) == 2
    assert 2 <= len(world.lines("outcome of an order is unknown")) <= 4


def test_venue_when_it_comes_back_and_has_the_order_then_the_legs_are_even_and_nothing_more_is_sent() -> None:
    world = World()
    lose_far(world, reached=True)
    world.harness.advance(ms=30_000)
    world.far.connect()
    world.harness.advance(ms=1_000)
    assert world.held() == (10_000, -1_000)
    assert len(world.sent()) == 2


def test_venue_when_it_comes_back_without_the_order_then_the_other_leg_is_flattened_within_its_bound() -> None:
    world = World()
    lose_far(world, reached=False)
    world.harness.advance(ms=30_000)
    world.near.quote(bid="98.5", ask="99", size="4")
    world.far.quote(bid="99.9", ask="102", size="4")
    world.far.connect()
    world.harness.advance(ms=1_000)
    # 98.5 and 99.9 are more than one percent beyond the prices of the legs.
    assert world.held() == (10_000, 0)
    world.near.quote(bid="99", ask="100", size="4")
    world.harness.advance(ms=1_000)
    assert world.held() == (0, 0)
    assert world.sent()[2:] == [("near:BTC", "sell", 9_900, 10_000)]


def test_leg_when_the_venue_rejects_it_then_it_is_worked_out_within_its_bound() -> None:
    world = World()
    world.far.reject_next("insufficient_balance")
    world.far.quote(bid="101", ask="102", size="4")
    world.near.quote(bid="99", ask="100", size="4")
    world.harness.advance(ms=300)
    assert world.held() == (10_000, -1_000)
    assert [one["legs"] for one in world.lines("works a leg out")] == ["far:BTC sell 1.000 of 1.000"]


def test_leg_when_its_venue_rejects_it_again_and_again_then_the_other_is_flattened_and_a_pause_follows() -> None:
    world = World()
    for _ in range(20):
        world.far.reject_next("insufficient_balance")
    for _ in range(40):
        world.quote(("99.5", "100"), ("101", "102"))
        world.harness.advance(ms=100)
    assert world.held() == (0, 0)
    sells = [one for one in world.sent() if one[:2] == ("near:BTC", "sell")]
    assert sells == [("near:BTC", "sell", 9_950, 10_000)]
    before = len(world.sent())
    world.quote(("99.5", "100"), ("101", "102"))
    assert len(world.sent()) == before


def test_leg_when_it_fills_in_part_then_only_the_rest_is_worked_out() -> None:
    world = World()
    world.near.quote(bid="99", ask="100", size="4")
    world.far.hold()
    world.far.quote(bid="101", ask="102", size="4")
    world.far.quote(bid="101", ask="102", size="0.3")
    world.far.release()
    assert world.held() == (10_000, -300)
    world.far.quote(bid="100.5", ask="102", size="4")
    world.harness.advance(ms=1_000)
    assert world.held() == (10_000, -1_000)
    assert [one for one in world.sent() if one[0] == "far:BTC"][-1] == ("far:BTC", "sell", 1_005, 700)


def test_leg_when_the_price_is_beyond_the_bound_then_it_is_held_and_reported() -> None:
    world = World()
    world.far.reject_next("busy")
    world.far.hold()
    world.quote(("98.9", "100"), ("101", "102"))
    world.far.quote(bid="99.9", ask="102", size="4")
    world.far.release()
    for _ in range(50):
        world.harness.advance(ms=100)
        world.near.quote(bid="98.9", ask="100.5", size="4")
        world.far.quote(bid="99.9", ask="102", size="4")
    assert world.held() == (10_000, 0)
    assert len(world.lines("leg held: no fresh book within the bound")) == 1


def test_restart_when_a_leg_is_open_then_it_goes_on_by_what_was_saved_and_by_the_positions() -> None:
    world = World()
    world.far.hold()
    world.quote(("99", "100"), ("101", "102"))
    assert world.held() == (10_000, 0)
    world.harness.restart()
    assert world.lines("takes up")[-1]["legs"] == "near:BTC buy 1.0000 of 1.0000, far:BTC sell 0.000 of 1.000"
    world.far.quote(bid="100.5", ask="102", size="4")
    world.harness.advance(ms=600)
    assert world.held() == (10_000, -1_000)
    assert len(world.sent()) == 3


def test_restart_when_nothing_is_open_then_nothing_is_sent() -> None:
    world = World()
    world.quote(("99", "100"), ("101", "102"))
    world.harness.restart()
    world.harness.advance(ms=5_000)
    assert world.held() == (10_000, -1_000)
    assert len(world.sent()) == 2


def test_perpetual_when_its_funding_rate_is_old_then_no_position_is_opened() -> None:
    world = World(PERP, mark_age_ms_max=1_000)
    world.mark("0.0001")
    world.harness.advance(ms=1_001)
    world.quote(("99", "100"), ("101", "102"))
    assert world.sent() == []


def test_pair_when_only_one_instrument_is_open_then_it_waits_for_the_other() -> None:
    harness = TradingHarness(instruments=[NEAR, FAR])
    harness.add("arb", CrossVenueArbitrage, SETTINGS, instruments=[NEAR.id])
    assert [message for message, _ in harness.recorder.lines] == ["waits until both of its instruments are open"]


@pytest.mark.parametrize(
    ("other", "settings", "problem"),
    [
        (
            replace(FAR, id=InstrumentId("near:ETH"), venue="near"),
            {},
            "are at one venue; give one of each",
        ),
        (
            replace(FAR, quote_currency="USD"),
            {},
            r'is USDT, of far:BTC USD; give two of the same, or set currencies_as_equal = \["USDT", "USD"\]',
        ),
        (
            replace(FAR, quote_currency="USD"),
            {"currencies_as_equal": ["USD", "USDC"], "currency_haircut_bps": 0},
            "quote_currency of near:BTC is USDT, of far:BTC USD",
        ),
        (replace(FAR, base_currency="ETH"), {}, "base_currency of near:BTC is BTC, of far:BTC ETH"),
        (replace(FAR, kind=InstrumentKind.BINARY), {}, "far:BTC is binary; give a spot market or a perpetual"),
        (FAR, {"inventory": {"far:ETH": "1"}}, "inventory: far:ETH is none of its spot instruments"),
        (FAR, {"size_max": "1.00001"}, r"size_max: 1\.00001 for near:BTC; give at most 4 decimals"),
    ],
)
def test_settings_when_they_are_no_pair_or_do_not_fit_then_the_start_is_refused_and_says_why(
    other: Instrument, settings: dict[str, object], problem: str
) -> None:
    harness = TradingHarness(instruments=[NEAR, other])
    with pytest.raises(ValueError, match=problem):
        harness.add("arb", CrossVenueArbitrage, SETTINGS | {"inventory": {}} | settings)


DOLLARS = {"currencies_as_equal": ["USD", "USDT"]}


@pytest.mark.parametrize(
    ("haircut_bps", "far_bid", "is_worth"),
    # 100 x (1 + 0.001 + 0.001) / (1 - 0.002 - haircut): 100.5 pays for 9 hundredths of a percent, and not for 10.
    [(0, "100.5", True), (9, "100.5", True), (10, "100.5", False), (10, "100.6", True)],
)
def test_currencies_when_they_are_taken_as_equal_then_the_haircut_is_a_cost(
    haircut_bps: int, far_bid: str, is_worth: bool
) -> None:
    world = World(replace(FAR, quote_currency="USD"), **DOLLARS, currency_haircut_bps=haircut_bps)
    world.quote(("99", "100"), (far_bid, "102"))
    assert bool(world.sent()) is is_worth


def test_haircut_when_both_are_quoted_in_one_currency_then_it_is_no_cost() -> None:
    world = World(**DOLLARS, currency_haircut_bps=500)
    world.quote(("99", "100"), ("100.5", "102"))
    assert world.sent()


def test_perpetual_when_it_is_quoted_in_another_currency_then_the_position_is_closed_without_a_haircut() -> None:
    world = World(replace(PERP, quote_currency="USD"), **DOLLARS, currency_haircut_bps=10)
    world.mark("0")
    world.quote(("99", "100"), ("101", "102"))
    assert world.held() == (10_000, -1_000)
    world.harness.advance(ms=500)
    world.quote(("100.6", "100.7"), ("100.5", "100.6"))
    assert world.held() == (0, 0)


def test_currencies_when_no_haircut_is_stated_then_they_are_refused() -> None:
    with pytest.raises(
        ValueError, match="currency_haircut_bps: missing with currencies_as_equal=USD, USDT; say by how"
    ):
        CrossVenueSettings.model_validate({"size_max": "1", "position_max": "1", **DOLLARS})


def test_pair_when_there_are_three_instruments_then_the_start_is_refused() -> None:
    harness = TradingHarness(instruments=[NEAR, FAR, PERP])
    with pytest.raises(ValueError, match="instruments: near:BTC, far:BTC, perp:BTC; give two, one at each venue"):
        harness.add("arb", CrossVenueArbitrage, SETTINGS)
