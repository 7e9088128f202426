"""The generated markets: unique names, sound grids, times as asked."""

import random

import pytest

from connectors.kalshi.sandbox.listings import MarketListing, Schedule, combine, generate

START_NS = 1_795_219_200 * 1_000_000_000
SECOND_NS = 1_000_000_000


def test_markets_when_generated_then_tickers_follow_series_event_market() -> None:
    listings = generate(random.Random(1), now_ns=START_NS, count=4)
    assert [event.event_ticker for event in listings.events] == ["KXTIDE-26NOV21", "KXSURGE-26NOV21"]
    for market in listings.markets:
        assert market.spec.market_id.startswith(f"{market.event_ticker}-")
        assert market.event_ticker.startswith(f"{market.series_ticker}-")
    assert {market.structure for market in listings.markets} == {"linear_cent", "tapered_deci_cent"}


def test_markets_when_many_are_generated_then_all_names_differ() -> None:
    listings = generate(random.Random(1), now_ns=START_NS, count=100)
    assert len({market.spec.market_id for market in listings.markets}) == 100
    assert len({event.event_ticker for event in listings.events}) == len(listings.events)
    assert {market.series_ticker for market in listings.markets} == {series.ticker for series in listings.series}


def test_markets_when_generated_twice_from_one_seed_then_they_are_the_same() -> None:
    assert generate(random.Random(9), now_ns=START_NS) == generate(random.Random(9), now_ns=START_NS)
    assert generate(random.Random(9), now_ns=START_NS) != generate(random.Random(8), now_ns=START_NS)


def test_outcomes_when_an_event_is_decided_then_its_markets_agree_on_the_water_level() -> None:
    listings = generate(random.Random(1), now_ns=START_NS, count=300)
    assert {one.spec.settle_value for one in listings.markets} == {0, 10_000}
    for event in listings.events:
        markets = [one for one in listings.markets if one.event_ticker == event.event_ticker]
        levels = [
            level
            for level in range(170, 250)
            if all((one.spec.settle_value == 10_000) is pays(one, level) for one in markets)
        ]
        assert levels, event.event_ticker


def test_events_when_their_markets_exclude_each_other_then_no_level_is_in_two_of_them() -> None:
    listings = generate(random.Random(1), now_ns=START_NS, count=300)
    exclusive = [event for event in listings.events if event.is_exclusive]
    assert len(exclusive) == 50
    for event in exclusive:
        markets = [one for one in listings.markets if one.event_ticker == event.event_ticker]
        assert max(sum(pays(one, level) for one in markets) for level in range(150, 300)) == 1


def test_market_when_it_has_several_legs_then_it_pays_when_yes_of_each_does() -> None:
    markets = generate(random.Random(1), now_ns=START_NS, count=300).markets
    (yes,) = {one.spec.settle_value for one in markets} - {0}
    winners, losers = ([one for one in markets if one.spec.settle_value == value] for value in (yes, 0))
    for legs, value in ((winners[:3], yes), ([winners[0], losers[0]], 0)):
        (combo,) = combine(random.Random(2), legs, now_ns=START_NS).markets
        assert (combo.spec.settle_value, len(combo.legs)) == (value, len(legs))
        assert combo.spec.market_id.startswith("KXMVETIDE-")


def pays(market: MarketListing, level: int) -> bool:
    """Whether a market is true at a level, by the text that clients read."""
    numbers = [int(word) for word in market.yes_sub_title.split() if word.isdigit()]
    return level > numbers[0] if len(numbers) == 1 else numbers[0] <= level <= numbers[1]


def test_markets_when_short_lived_then_they_open_and_close_one_after_another() -> None:
    schedule = Schedule(close_after_s=60, stagger_s=30, determine_after_s=1, settle_after_s=2)
    listings = generate(random.Random(1), now_ns=START_NS, count=3, schedule=schedule)
    opens = [(market.spec.open_ns - START_NS) // SECOND_NS for market in listings.markets]
    closes = [(market.spec.close_ns - START_NS) // SECOND_NS for market in listings.markets]
    assert (opens, closes) == ([0, 30, 60], [60, 90, 120])


@pytest.mark.parametrize("count", [0, 1_001])
def test_markets_when_too_few_or_too_many_are_asked_for_then_it_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=f"count is {count}"):
        generate(random.Random(1), now_ns=START_NS, count=count)
