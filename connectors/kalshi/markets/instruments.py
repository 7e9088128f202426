"""Kalshi markets as instruments: grid, fees, status, times, shard. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from connectors.client.instruments import ListedInstrument
from connectors.client.wire.answers import UnusableInstrument
from connectors.client.wire.decimals import exact_text, iso_ns
from connectors.kalshi.wire.fixed_point import PRICE_DECIMALS, PRICE_ONE, SIZE_DECIMALS, price_of
from connectors.kalshi.wire.market_messages import PriceRange, RestEvent, RestMarket, RestSeries
from framework.domain.instruments import (
    FeeModel,
    FeeSchedule,
    Instrument,
    InstrumentKind,
    InstrumentStatus,
    StrikeRange,
    TickBand,
    instrument_id,
)
from framework.domain.numbers import Price, Size

# Vendor docs, `market.status`. A disputed or amended result is not paid yet.
_STATUS = {
    "initialized": InstrumentStatus.UNOPENED,
    "active": InstrumentStatus.ACTIVE,
    "inactive": InstrumentStatus.PAUSED,
    "closed": InstrumentStatus.CLOSED,
    "determined": InstrumentStatus.CLOSED,
    "disputed": InstrumentStatus.CLOSED,
    "amended": InstrumentStatus.CLOSED,
    "finalized": InstrumentStatus.SETTLED,
}

# Vendor docs: taker 0.07 x M, maker 0.0175 x M (combos 0.035 x M). The table of `flat` is not published.
_TAKER_RATE = Decimal("0.07")
_MAKER_RATES = {
    "quadratic": Decimal(0),
    "quadratic_with_maker_fees": Decimal("0.0175"),
    "quadratic_with_combo_maker_fees": Decimal("0.035"),
}
# For a fee type without a published formula the highest known rate is assumed, so that costs are never understated.
_MULTIPLIER_MAX = 1000
_UNKNOWN_MAKER_RATE = Decimal("0.035")


# Vendor docs, `market.strike_type`. That both ends of `between` are included was seen in recorded texts: "84° to 85°".
_STRIKES = {
    "greater": (True, False, False),
    "greater_or_equal": (True, False, True),
    "less": (False, True, False),
    "less_or_equal": (False, True, True),
    "between": (True, True, True),
}
"""Whether floor and cap bound the outcomes for which a market pays, and whether they are among those."""

LOT = Size(1)
"""A hundredth of a contract: the smallest size, and the step of sizes (vendor docs)."""
_WHOLE_GRID = TickBand(start=Price(0), end=PRICE_ONE, step=Price(100))


def series_of(event_ticker: str) -> str:
    """The ticker of the series that an event belongs to: what is before its first "-". Markets do not name it."""
    return event_ticker.partition("-")[0]


def listed_of(
    market: RestMarket, *, venue: str, fees: FeeSchedule, event: RestEvent | None = None, lot: Size = LOT
) -> ListedInstrument:
    """A market as it is listed: the instrument, when it opens, and what it pays. Raises `UnusableInstrument`."""
    return ListedInstrument(
        instrument_of(market, venue=venue, fees=fees, event=event, lot=lot),
        open_ns=market_time(market.open_time, market.ticker),
        payment=settlement_value_of(market),
        paid_ns=market_time(market.settlement_ts, market.ticker),
    )


def instrument_of(
    market: RestMarket, *, venue: str, fees: FeeSchedule, event: RestEvent | None = None, lot: Size = LOT
) -> Instrument:
    """The instrument of a market: one YES contract, prices in ten-thousandths of a dollar, sizes in hundredths. Its
    `event` says whether only one market of it can pay; without one that is not known, and taken as no.

    An undocumented status is taken as PAUSED: known, and closed to orders. Raises `UnusableInstrument` for a grid or a
    time that cannot be read.
    """
    return Instrument(
        id=instrument_id(venue, market.ticker),
        venue=venue,
        symbol=market.ticker,
        kind=InstrumentKind.BINARY,
        price_decimals=PRICE_DECIMALS,
        size_decimals=SIZE_DECIMALS,
        tick_bands=tick_bands_of(market.price_ranges, market.ticker),
        lot=lot,
        size_min=lot,
        base_currency="contract",
        quote_currency="USD",
        fees=fees,
        status=_STATUS.get(market.status, InstrumentStatus.PAUSED),
        close_ns=market_time(market.close_time, market.ticker),
        settle_ns=market_time(market.settlement_ts, market.ticker)
        or market_time(market.latest_expiration_time, market.ticker),
        shard=market.exchange_index,
        event=market.event_ticker,
        is_exclusive=event is not None and event.mutually_exclusive is True,
        strike=strike_of(market),
    )


def strike_of(market: RestMarket) -> StrikeRange | None:
    """The outcomes for which a market pays, in the units of its event; None where they are no range of numbers, and
    where they are about something of their own: a player, a team."""
    if market.custom_strike or market.functional_strike or market.primary_participant_key:
        return None
    has_floor, has_cap, is_included = _STRIKES.get(market.strike_type or "", (False, False, False))
    low, high = exact_text(market.floor_strike) if has_floor else "", exact_text(market.cap_strike) if has_cap else ""
    is_range = (has_floor or has_cap) and low is not None and high is not None
    return StrikeRange(low or "", high or "", has_floor and is_included, has_cap and is_included) if is_range else None


def market_time(text: str | None, ticker: str) -> int:
    """A time of a market in Unix nanoseconds, 0 for none. Raises `UnusableInstrument` when it cannot be read."""
    try:
        return iso_ns(text)
    except ValueError as e:
        raise UnusableInstrument(f"{ticker}: {e}; leave this market out") from e


def tick_bands_of(ranges: tuple[PriceRange, ...], ticker: str) -> tuple[TickBand, ...]:
    """The price grid, ascending. Without ranges: whole cents, the coarsest documented grid.

    Raises `UnusableInstrument` for a range that cannot be read or is no grid inside 0 to 1 dollar.
    """
    if not ranges:
        return (_WHOLE_GRID,)
    try:
        bands = sorted(
            (TickBand(start=price_of(one.start), end=price_of(one.end), step=price_of(one.step)) for one in ranges),
            key=lambda band: band.start,
        )
    except ValueError as e:
        raise UnusableInstrument(f"{ticker}: price_ranges: {e}; leave this market out") from e
    for band in bands:
        if band.step <= 0 or not 0 <= band.start < band.end <= PRICE_ONE:
            raise UnusableInstrument(f"{ticker}: price_ranges: {band} is no grid inside 0..1; leave this market out")
    return tuple(bands)


def fees_of(series: RestSeries | None, event: RestEvent | None) -> FeeSchedule:
    """The fee rates: those of the series' type times its multiplier, each overridden by the event's when it has one.

    Rates are decimal texts, per contract and P * (1 - P). Raises `UnusableInstrument` for another multiplier.
    """
    kind = (series.fee_type if series else "") or ""
    multiplier: float | str = series.fee_multiplier if series else 1
    if event is not None and event.fee_type_override:
        kind = event.fee_type_override
    if event is not None and event.fee_multiplier_override is not None:
        multiplier = event.fee_multiplier_override
    try:
        # `str` of a JSON number gives back the digits that were sent.
        factor = Decimal(str(multiplier))
        if not 0 <= factor <= _MULTIPLIER_MAX:
            raise InvalidOperation
    except InvalidOperation:
        name = series.ticker if series else "?"
        raise UnusableInstrument(
            f"{name}: fee_multiplier: {multiplier!r} is no number from 0 to {_MULTIPLIER_MAX}; leave this series out"
        ) from None
    maker = _MAKER_RATES.get(kind, _UNKNOWN_MAKER_RATE)
    return FeeSchedule(
        model=FeeModel.QUADRATIC, taker_rate=_rate_text(_TAKER_RATE * factor), maker_rate=_rate_text(maker * factor)
    )


def settlement_value_of(market: RestMarket) -> Price | None:
    """What a settled market pays per YES contract, in ten-thousandths of a dollar: the stated value, else the result's.

    None when it is not settled, or scalar without a value. Raises `UnusableInstrument` for a value that cannot be read.
    """
    if _STATUS.get(market.status) is not InstrumentStatus.SETTLED:
        return None
    if not market.settlement_value_dollars:
        return {"yes": PRICE_ONE, "no": Price(0)}.get(market.result)
    try:
        return price_of(market.settlement_value_dollars)
    except ValueError as e:
        raise UnusableInstrument(f"{market.ticker}: settlement_value_dollars: {e}") from e


def _rate_text(rate: Decimal) -> str:
    return format(rate.normalize(), "f")
