"""Markets of one event against each other: what a set pays at least, and how its legs come out even."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from framework.domain.errors import ConfigurationError
from framework.domain.instruments import (
    FeeModel,
    FeeSchedule,
    Instrument,
    InstrumentId,
    InstrumentStatus,
    StrikeRange,
)
from framework.domain.intents import NewOrder
from framework.testing import INSTRUMENT, TradingHarness
from strategies.complement_arbitrage import ComplementArbitrage, relations_by_strike

FEES = FeeSchedule(FeeModel.QUADRATIC, taker_rate="0.07")
SETTINGS = {"size_max": "10", "position_max": "20", "edge_min": "0.01", "bound": "0.03"}
ABOVE_180 = StrikeRange(low="180")
FROM_200_TO_210 = StrikeRange(low="200", high="210", includes_low=True, includes_high=True)
Prices = Mapping[str, tuple[str, str]]


def market(
    symbol: str, *, is_exclusive: bool = False, strike: StrikeRange | None = None, event: str = "E"
) -> Instrument:
    return msgspec.structs.replace(
        INSTRUMENT,
        id=InstrumentId(f"practice:{symbol}"),
        symbol=symbol,
        fees=FEES,
        event=event,
        is_exclusive=is_exclusive,
        strike=strike,
    )


EXCLUSIVE = tuple(market(name, is_exclusive=True) for name in "ABC")
STRIKES = (market("OUTER", strike=ABOVE_180), market("INNER", strike=FROM_200_TO_210))


class World:
    """Markets of one event, and the strategy."""

    def __init__(self, *instruments: Instrument, **settings: object) -> None:
        self.harness = TradingHarness(instruments=instruments)
        self.harness.add("arb", ComplementArbitrage, SETTINGS | settings)
        self.venue = self.harness.venue

    def quote(self, size: str = "100", **prices: tuple[str, str]) -> None:
        for symbol, (bid, ask) in prices.items():
            self.venue.quote(bid=bid, ask=ask, size=size, instrument=InstrumentId(f"practice:{symbol}"))

    def held(self, *symbols: str) -> list[int]:
        return [self.harness.position("arb", InstrumentId(f"practice:{one}")).size for one in symbols]

    def sent(self) -> list[tuple[str, str, int, int]]:
        orders = [one for one in self.harness.intents if isinstance(one, NewOrder)]
        return [(one.instrument.partition(":")[2], one.side.value, one.price, one.size) for one in orders]

    def lines(self, part: str) -> list[dict[str, object]]:
        return [fields for message, fields in self.harness.recorder.lines if part in message]


def test_exclusive_when_the_bids_add_up_to_more_than_one_then_all_are_sold_and_the_edge_is_earned_to_the_cent() -> None:
    world = World(*EXCLUSIVE)
    world.quote(A=("0.40", "0.42"), B=("0.40", "0.42"), C=("0.30", "0.32"))
    assert world.sent() == [
        ("A", "sell", 4_000, 1_000),
        ("B", "sell", 4_000, 1_000),
        ("C", "sell", 3_000, 1_000),
    ]
    # 10 x (2 - 3 + 1.1 - 2 x 0.0168 - 0.0147), in units of 10^-6
    assert [one["edge"] for one in world.lines("buys a set")] == ["0.517000"]
    for winner, symbol in (("0", "A"), ("1", "B"), ("0", "C")):
        world.venue.settle(winner, instrument=InstrumentId(f"practice:{symbol}"))
    results = [world.harness.profit_and_loss("arb", one.id) for one in EXCLUSIVE]
    assert sum(one.realised - one.fees for one in results) == INSTRUMENT.amount("0.517")


@pytest.mark.parametrize(("bid", "is_worth"), [("0.27", False), ("0.28", True)])
def test_exclusive_when_fees_and_the_least_edge_eat_the_difference_then_nothing_is_sent(
    bid: str, is_worth: bool
) -> None:
    world = World(*EXCLUSIVE, edge_min="0.03")
    world.quote(A=("0.40", "0.42"), B=("0.40", "0.42"), C=(bid, "0.99"))
    # 0.4 + 0.4 + 0.27 - 1 is 0.07; fees of twice 0.0168 and 0.0138 leave 0.0226. With 0.28 they leave 0.0322.
    assert bool(world.sent()) is is_worth


def test_exclusive_when_a_market_brings_less_than_its_fee_or_has_no_bid_then_it_is_left_out() -> None:
    dear = msgspec.structs.replace(EXCLUSIVE[2], fees=FeeSchedule(taker_rate="1"))
    world = World(*EXCLUSIVE[:2], dear, market("D", is_exclusive=True))
    world.quote(D=("", "0.05"), C=("0.30", "0.32"), A=("0.60", "0.62"), B=("0.55", "0.57"))
    assert [(name, price) for name, _, price, _ in world.sent()] == [("A", 6_000), ("B", 5_500)]


def test_exclusive_when_the_event_does_not_say_so_or_it_is_another_one_then_nothing_is_sent() -> None:
    world = World(market("A"), market("B"), market("C", is_exclusive=True), market("D", is_exclusive=True, event="F"))
    world.quote(A=("0.90", "0.92"), B=("0.90", "0.92"), C=("0.90", "0.92"), D=("0.90", "0.92"))
    assert world.sent() == []


def test_strikes_when_the_inner_market_is_bid_above_the_outer_ones_ask_then_that_is_traded() -> None:
    world = World(*STRIKES, relations=["strikes"])
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    assert world.sent() == [("OUTER", "buy", 4_000, 1_000), ("INNER", "sell", 5_000, 1_000)]
    # 10 x (0.5 - 0.4 - 0.0168 - 0.0175)
    assert [(one["relation"], one["edge"]) for one in world.lines("buys a set")] == [("contains", "0.657000")]


def test_strikes_when_they_are_not_believed_then_nothing_is_sent() -> None:
    world = World(*STRIKES)
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    assert world.sent() == []


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        (StrikeRange(low="1"), StrikeRange(low="2"), ["contains"]),
        (StrikeRange(low="2"), StrikeRange(low="1"), []),
        (StrikeRange(low="2"), StrikeRange(low="2", includes_low=True), []),
        (StrikeRange(low="1.50", includes_low=True), StrikeRange(low="1.5"), ["contains"]),
        (StrikeRange(high="2"), StrikeRange(low="2", includes_low=True), ["disjoint", "covers"]),
        (StrikeRange(high="2", includes_high=True), StrikeRange(low="2", includes_low=True), ["covers"]),
        (StrikeRange(high="2"), StrikeRange(low="2"), ["disjoint"]),
        (StrikeRange(low="1", high="2", includes_high=True), StrikeRange(low="2", high="3"), ["disjoint"]),
        (StrikeRange(low="10"), StrikeRange(low="9", high="11"), []),
        (StrikeRange(), StrikeRange(low="2", high="2", includes_low=True, includes_high=True), ["contains"]),
        (None, StrikeRange(low="2"), []),
    ],
)
def test_strikes_when_compared_then_only_what_is_certain_follows(
    one: StrikeRange | None, other: StrikeRange, names: list[str]
) -> None:
    found = relations_by_strike(market("A", strike=one), market("B", strike=other))
    assert [relation.name for relation in found] == names


def test_exhaustive_when_all_markets_of_the_event_are_there_then_all_are_bought() -> None:
    world = World(*EXCLUSIVE, exhaustive={"E": 3})
    world.quote(A=("0.28", "0.30"), B=("0.28", "0.30"), C=("0.28", "0.30"))
    # 10 x (1 - 0.9 - 3 x 0.0147)
    assert [(one["relation"], one["edge"]) for one in world.lines("buys a set")] == [("exhaustive", "0.559000")]
    assert world.held("A", "B", "C") == [1_000, 1_000, 1_000]


def test_exhaustive_when_a_market_is_missing_or_closed_then_nothing_is_bought() -> None:
    world = World(*EXCLUSIVE, exhaustive={"E": 4})
    world.quote(A=("0.18", "0.20"), B=("0.18", "0.20"), C=("0.18", "0.20"))
    assert world.sent() == []
    world = World(*EXCLUSIVE, exhaustive={"E": 3})
    world.venue.set_status(InstrumentStatus.PAUSED, instrument=EXCLUSIVE[0].id)
    world.quote(A=("0.18", "0.20"), B=("0.18", "0.20"), C=("0.18", "0.20"))
    assert world.sent() == []


def test_size_when_little_is_shown_then_half_of_it_and_never_beyond_the_largest_position() -> None:
    world = World(*STRIKES, relations=["strikes"], position_max="12")
    world.quote(OUTER=("0.38", "0.40"), size="5")
    world.quote(INNER=("0.50", "0.52"))
    assert [size for *_, size in world.sent()] == [250, 250]
    for _ in range(3):
        world.harness.advance(ms=100)
        world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    assert world.held("OUTER", "INNER") == [1_200, -1_200]


def test_sets_when_the_best_one_has_reached_its_largest_position_then_the_next_best_is_bought() -> None:
    others = [market("D", strike=StrikeRange("220", "230")), market("E", strike=StrikeRange("240", "250"))]
    world = World(*STRIKES, *others, relations=["strikes"], position_max="10")
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.60", "0.62"))
    world.harness.advance(ms=100)
    world.quote(OUTER=("0.38", "0.40"), D=("0.50", "0.52"), E=("0.55", "0.57"))
    # E against OUTER would bring more, and of OUTER no more may be bought.
    assert [one["relation"] for one in world.lines("buys a set")] == ["contains", "disjoint"]
    assert world.held("OUTER", "INNER", "D", "E") == [1_000, -1_000, -1_000, -1_000]


def test_book_when_it_is_too_old_then_nothing_is_sent() -> None:
    world = World(*STRIKES, relations=["strikes"])
    world.quote(OUTER=("0.38", "0.40"))
    world.harness.advance(ms=1_001)
    world.quote(INNER=("0.50", "0.52"))
    assert world.sent() == []


def test_market_when_it_closes_soon_then_no_new_set_is_bought() -> None:
    world = World(*STRIKES, relations=["strikes"])
    closing = msgspec.structs.replace(STRIKES[0], close_ns=world.harness.clock.now_ns() + 59 * 10**9)
    world.venue.list_instrument(closing)
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    assert world.sent() == []


def test_leg_when_the_venue_rejects_it_then_it_is_worked_out_within_the_bound() -> None:
    world = World(*EXCLUSIVE)
    world.venue.hold()
    world.quote(A=("0.40", "0.42"), B=("0.40", "0.42"), C=("0.30", "0.32"))
    world.quote(A=("0.37", "0.39"))
    world.venue.reject_next("insufficient_balance")
    world.venue.release()
    world.harness.advance(ms=600)
    assert world.held("A", "B", "C") == [-1_000, -1_000, -1_000]
    assert world.sent()[3:] == [("A", "sell", 3_700, 1_000)]


def test_leg_when_its_price_has_gone_then_all_others_are_flattened_within_the_bound() -> None:
    world = World(*EXCLUSIVE)
    world.venue.hold()
    world.quote(A=("0.40", "0.42"), B=("0.40", "0.42"), C=("0.30", "0.32"))
    world.quote(A=("0.36", "0.38"))
    world.venue.release()
    for _ in range(30):
        world.harness.advance(ms=100)
        world.quote(A=("0.36", "0.38"), B=("0.40", "0.42"), C=("0.30", "0.34"))
    assert world.held("A", "B", "C") == [0, 0, -1_000]
    assert world.sent()[3:] == [("B", "buy", 4_200, 1_000)]
    assert len(world.lines("leg held: no fresh book within the bound")) == 1
    world.quote(C=("0.30", "0.33"))
    world.harness.advance(ms=600)
    assert world.held("A", "B", "C") == [0, 0, 0]


@pytest.mark.parametrize("has_order", [True, False])
@pytest.mark.parametrize("is_restarted", [True, False])
def test_venue_when_it_dies_between_the_legs_then_the_open_leg_is_held_and_reported_and_never_doubled(
    has_order: bool, is_restarted: bool
) -> None:
    world = World(*STRIKES, relations=["strikes"])
    world.venue.lose_next(reached=has_order)
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    world.venue.disconnect()
    for _ in range(300):
        world.harness.advance(ms=100)
    assert world.held("OUTER", "INNER") == [0, -1_000]
    assert len(world.sent()) == 2
    assert len(world.lines("the outcome of an order is unknown")) == 3

    world.quote(OUTER=("0.38", "0.41"), INNER=("0.40", "0.60"))
    if is_restarted:
        world.harness.restart()
    else:
        world.venue.connect()
    world.harness.advance(ms=600)
    assert world.held("OUTER", "INNER") == [1_000, -1_000]
    # What the venue never got is worked out, after 30 s too, since 0.60 is too dear to flatten.
    assert world.sent()[2:] == ([] if has_order else [("OUTER", "buy", 4_100, 1_000)])


def test_market_when_it_settles_while_a_leg_is_open_then_the_trade_ends_and_says_what_is_held() -> None:
    world = World(*STRIKES, relations=["strikes"])
    world.venue.hold()
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    world.quote(INNER=("0.40", "0.42"))
    world.venue.release()
    assert world.held("OUTER", "INNER") == [1_000, 0]
    world.venue.settle("0", instrument=STRIKES[1].id)
    world.harness.advance(ms=1_000)
    said = "practice:OUTER buy 10.00 of 10.00, practice:INNER sell 0.00 of 10.00"
    assert [one["legs"] for one in world.lines("trade ends with its market")] == [said]


def test_market_when_it_closes_while_an_outcome_is_unknown_then_the_trade_ends_when_that_is_known() -> None:
    world = World(*STRIKES, relations=["strikes"])
    world.venue.lose_next(reached=True)
    world.quote(OUTER=("0.38", "0.40"), INNER=("0.50", "0.52"))
    world.venue.set_status(InstrumentStatus.CLOSED, instrument=STRIKES[1].id)
    world.harness.advance(ms=1_000)
    assert world.lines("trade ends with its market") == []
    world.harness.reconcile()
    world.harness.advance(ms=1_000)
    said = "practice:OUTER buy 10.00 of 10.00, practice:INNER sell 10.00 of 10.00"
    assert [one["legs"] for one in world.lines("trade ends with its market")] == [said]


def test_settings_when_a_relation_is_unknown_or_a_price_has_too_many_digits_then_the_start_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="relations"):
        World(*STRIKES, relations=["hope"])
    with pytest.raises(ValueError, match=r"edge_min: 0\.00001 for practice:OUTER; give at most 4 decimals"):
        World(*STRIKES, edge_min="0.00001")
