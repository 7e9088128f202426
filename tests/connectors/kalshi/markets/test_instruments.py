"""Markets as instruments."""

from __future__ import annotations

import msgspec
import pytest

from connectors.client.wire.answers import UnusableInstrument
from connectors.kalshi.markets.instruments import fees_of, instrument_of, settlement_value_of
from connectors.kalshi.wire.market_messages import MarketResponse, MarketsPage, PriceRange, RestEvent, RestSeries
from framework.domain.instruments import InstrumentKind, InstrumentStatus, StrikeRange
from framework.domain.numbers import Price
from tests.connectors.kalshi.support import FEES, TICKER, market

RECORDED = b"""{"market":{"can_close_early":true,"close_time":"2026-06-25T16:00:00Z",
"created_time":"2026-06-11T05:12:22.338653Z","custom_strike":{"tennis_competitor":"367dcce8"},
"event_ticker":"KXWTACHALLENGERMATCH-26JUN11JIMLEP","expected_expiration_time":"2026-06-11T19:00:00Z",
"expiration_value":"","fractional_trading_enabled":true,"last_price_dollars":"0.9900",
"latest_expiration_time":"2026-06-25T16:00:00Z","liquidity_dollars":"0.0000","market_type":"binary",
"no_ask_dollars":"0.5300","no_bid_dollars":"0.4800","notional_value_dollars":"1.0000",
"open_time":"2026-06-11T05:39:29Z","price_level_structure":"linear_cent",
"price_ranges":[{"end":"1.0000","start":"0.0000","step":"0.0100"}],"response_price_units":"usd_cent","result":"",
"settlement_timer_seconds":60,"status":"active","strike_type":"structured",
"ticker":"KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP","updated_time":"2026-06-11T05:39:31.28563Z",
"yes_ask_dollars":"0.5200","yes_ask_size_fp":"3.00","yes_bid_dollars":"0.4700","yes_bid_size_fp":"3.00"}}"""
TAPERED = (
    PriceRange("0.9000", "1.0000", "0.0010"),
    PriceRange("0.0000", "0.1000", "0.0010"),
    PriceRange("0.1000", "0.9000", "0.0100"),
)


def test_market_when_recorded_then_it_is_a_binary_instrument_with_its_grid() -> None:
    instrument = instrument_of(msgspec.json.decode(RECORDED, type=MarketResponse).market, venue="demo", fees=FEES)
    assert instrument.id == "demo:KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
    assert instrument.kind is InstrumentKind.BINARY
    assert (instrument.price_decimals, instrument.size_decimals, instrument.money_decimals) == (4, 2, 6)
    assert instrument.status is InstrumentStatus.ACTIVE
    assert instrument.close_ns == 1_782_403_200_000_000_000
    assert instrument.is_on_grid(instrument.price("0.47"))
    assert not instrument.is_on_grid(instrument.price("0.475"))


def test_grid_when_banded_and_out_of_order_then_bands_ascend() -> None:
    instrument = instrument_of(market(price_ranges=TAPERED), venue="kalshi", fees=FEES)
    assert [band.start for band in instrument.tick_bands] == [0, 1000, 9000]
    assert instrument.is_on_grid(Price(990))
    assert not instrument.is_on_grid(Price(1005))


def test_grid_when_no_ranges_are_given_then_whole_cents_are_used() -> None:
    instrument = instrument_of(market(price_ranges=()), venue="kalshi", fees=FEES)
    assert instrument.is_on_grid(Price(5600))
    assert not instrument.is_on_grid(Price(5650))


@pytest.mark.parametrize(
    "bad",
    [
        PriceRange("0", "1", "0"),
        PriceRange("0.9", "0.1", "0.01"),
        PriceRange("0", "2", "0.01"),
        PriceRange("0", "1", "0.00001"),
    ],
)
def test_grid_when_it_makes_no_sense_then_the_market_is_refused_by_name(bad: PriceRange) -> None:
    with pytest.raises(UnusableInstrument, match=f"{TICKER}: price_ranges"):
        instrument_of(market(price_ranges=(bad,)), venue="kalshi", fees=FEES)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("initialized", InstrumentStatus.UNOPENED),
        ("active", InstrumentStatus.ACTIVE),
        ("inactive", InstrumentStatus.PAUSED),
        ("closed", InstrumentStatus.CLOSED),
        ("determined", InstrumentStatus.CLOSED),
        ("disputed", InstrumentStatus.CLOSED),
        ("finalized", InstrumentStatus.SETTLED),
        ("a_new_word", InstrumentStatus.PAUSED),
    ],
)
def test_status_when_mapped_then_an_unknown_one_takes_no_orders(text: str, status: InstrumentStatus) -> None:
    assert instrument_of(market(status=text), venue="kalshi", fees=FEES).status is status


STRIKES = b"""{"market":{"ticker":"KXHIGHNY-26JUN15-B84.5","event_ticker":"KXHIGHNY-26JUN15","status":"active",
"strike_type":"between","floor_strike":84,"cap_strike":85}}"""


def test_strike_when_recorded_then_both_ends_of_the_range_are_outcomes_that_pay() -> None:
    instrument = instrument_of(msgspec.json.decode(STRIKES, type=MarketResponse).market, venue="kalshi", fees=FEES)
    assert instrument.event == "KXHIGHNY-26JUN15"
    assert instrument.strike == StrikeRange("84", "85", includes_low=True, includes_high=True)


@pytest.mark.parametrize(
    ("listed", "strike"),
    [
        ({"strike_type": "greater", "floor_strike": 91.89}, StrikeRange(low="91.89")),
        ({"strike_type": "greater_or_equal", "floor_strike": 100}, StrikeRange(low="100", includes_low=True)),
        ({"strike_type": "less", "cap_strike": 78}, StrikeRange(high="78")),
        ({"strike_type": "less_or_equal", "cap_strike": "-0.5"}, StrikeRange(high="-0.5", includes_high=True)),
        ({"strike_type": "greater"}, None),
        ({"strike_type": "between", "floor_strike": 1, "cap_strike": {"a": 1}}, None),
        ({"strike_type": "greater", "floor_strike": "NaN"}, None),
        ({"strike_type": "structured", "floor_strike": 1.5}, None),
        ({}, None),
    ],
)
def test_strike_when_the_venue_states_no_range_of_numbers_then_none_is_known(
    listed: dict[str, object], strike: StrikeRange | None
) -> None:
    assert instrument_of(market(**listed), venue="kalshi", fees=FEES).strike == strike


@pytest.mark.parametrize("own", ["custom_strike", "functional_strike", "primary_participant_key"])
def test_strike_when_it_is_of_one_player_then_it_is_none_of_the_events(own: str) -> None:
    listed = market(strike_type="greater", floor_strike=0.5, **{own: "baseball_player"})
    assert instrument_of(listed, venue="kalshi", fees=FEES).strike is None


@pytest.mark.parametrize(("stated", "is_exclusive"), [(True, True), (False, False), (None, False)])
def test_event_when_it_says_that_only_one_market_pays_then_its_instruments_are_exclusive(
    stated: bool | None, is_exclusive: bool
) -> None:
    event = RestEvent(event_ticker="KXTIDE-1", series_ticker="KXTIDE", mutually_exclusive=stated)
    assert instrument_of(market(), venue="kalshi", fees=FEES, event=event).is_exclusive is is_exclusive
    assert not instrument_of(market(), venue="kalshi", fees=FEES).is_exclusive


@pytest.mark.parametrize(
    ("fee_type", "multiplier", "taker", "maker"),
    [
        ("quadratic", 1, "0.07", "0"),
        ("quadratic", 0.5, "0.035", "0"),
        ("quadratic_with_maker_fees", 1, "0.07", "0.0175"),
        ("quadratic_with_combo_maker_fees", 1, "0.07", "0.035"),
        ("quadratic_with_maker_fees", 0, "0", "0"),
        ("flat", 1, "0.07", "0.035"),
        ("a_new_word", 1, "0.07", "0.035"),
    ],
)
def test_fees_when_of_a_series_then_rates_are_multiplied_exactly(
    fee_type: str, multiplier: float, taker: str, maker: str
) -> None:
    fees = fees_of(RestSeries(ticker="KXTIDE", fee_type=fee_type, fee_multiplier=multiplier), None)
    assert (fees.taker_rate, fees.maker_rate) == (taker, maker)


def test_fees_when_the_event_overrides_then_its_word_counts() -> None:
    series = RestSeries(ticker="KXTIDE", fee_type="quadratic", fee_multiplier=1)
    event = RestEvent(
        event_ticker="KXTIDE-1",
        series_ticker="KXTIDE",
        fee_type_override="quadratic_with_maker_fees",
        fee_multiplier_override=0.1,
    )
    fees = fees_of(series, event)
    assert (fees.taker_rate, fees.maker_rate) == ("0.007", "0.00175")


@pytest.mark.parametrize(
    ("result", "value", "price"),
    [
        ("yes", None, 10_000),
        ("no", None, 0),
        ("yes", "1.0000", 10_000),
        ("scalar", "0.3700", 3700),
        ("scalar", "0.370000", 3700),
        ("scalar", None, None),
        ("", None, None),
    ],
)
def test_settlement_when_a_value_is_stated_then_it_counts_before_the_result(
    result: str, value: str | None, price: int | None
) -> None:
    assert settlement_value_of(market(status="finalized", result=result, settlement_value_dollars=value)) == price


def test_settlement_when_the_value_is_finer_than_a_price_then_it_is_refused() -> None:
    with pytest.raises(UnusableInstrument, match=f"{TICKER}: .*more than 4 decimals"):
        settlement_value_of(market(status="finalized", result="scalar", settlement_value_dollars="0.370001"))


def test_settlement_when_the_market_is_only_determined_then_nothing_is_paid_yet() -> None:
    assert settlement_value_of(market(status="determined", result="yes")) is None
    assert settlement_value_of(market(status="finalized", result="yes")) == 10_000


def test_list_of_markets_when_large_then_every_one_is_read() -> None:
    one = msgspec.json.decode(RECORDED)["market"]
    page = {"cursor": "", "markets": [one | {"ticker": f"KXTIDE-1-T{number}"} for number in range(1000)]}
    decoded = msgspec.json.decode(msgspec.json.encode(page), type=MarketsPage)
    assert len({instrument_of(each, venue="k", fees=FEES).id for each in decoded.markets}) == 1000


@pytest.mark.parametrize("field", ["close_time", "settlement_ts", "latest_expiration_time"])
def test_instrument_when_a_time_cannot_be_read_then_the_market_is_unusable(field: str) -> None:
    with pytest.raises(UnusableInstrument, match=f"{TICKER}: time: 'soon'"):
        instrument_of(market(**{field: "soon"}), venue="k", fees=FEES)


def test_fees_when_the_multiplier_is_no_number_then_the_market_is_unusable() -> None:
    with pytest.raises(UnusableInstrument, match="KXTIDE: fee_multiplier: 'n/a'"):
        fees_of(RestSeries(ticker="KXTIDE", fee_type="quadratic", fee_multiplier="n/a"), None)
