"""Markets of coins as venues list them: tick and step as decimal texts, books as pairs of texts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from connectors.client.wire.answers import UnusableInstrument
from connectors.client.wire.decimals import decimals_of, scaled_of
from framework.domain.instruments import (
    FeeSchedule,
    Instrument,
    InstrumentKind,
    InstrumentStatus,
    TickBand,
    instrument_id,
)
from framework.domain.market_events import Level
from framework.domain.numbers import Money, Price, Size

_PRICE_DIGITS_MAX = 9


class CoinMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A market with one grid, in the venue's texts. Empty ones are not known: the smallest order is then one step, the
    highest price a billion ticks."""

    symbol: str
    base: str
    quote: str
    tick: str
    step: str
    price_max: str = ""
    size_min: str = ""
    size_max: str = ""
    notional_min: str = ""


def coin_instrument(
    venue: str,
    market: CoinMarket,
    *,
    fees: FeeSchedule,
    status: InstrumentStatus,
    kind: InstrumentKind = InstrumentKind.SPOT,
) -> Instrument:
    """The instrument; its scales are those of tick and step.

    A limit that lies off the grid is moved onto it, to the side of fewer orders. Raises `UnusableInstrument`, naming
    market and field, for what can't be read, and for scales that fit no record.
    """
    try:
        return _instrument(venue, market, fees, status, kind)
    except ValueError as e:
        raise UnusableInstrument(f"{market.symbol[:60]}: {e}") from e


def _instrument(
    venue: str, market: CoinMarket, fees: FeeSchedule, status: InstrumentStatus, kind: InstrumentKind
) -> Instrument:
    price_decimals, size_decimals = decimals_of(market.tick, "tick"), decimals_of(market.step, "step")
    tick, lot = scaled_of(market.tick, price_decimals, "tick"), scaled_of(market.step, size_decimals, "step")
    highest = _cut(market.price_max, price_decimals, "price_max") or tick * 10**_PRICE_DIGITS_MAX
    smallest = -(-_raised(market.size_min, size_decimals, "size_min") // lot) * lot
    return Instrument(
        id=instrument_id(venue, market.symbol),
        venue=venue,
        symbol=market.symbol,
        kind=kind,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_bands=(TickBand(Price(tick), Price(highest // tick * tick), Price(tick)),),
        lot=Size(lot),
        size_min=Size(max(smallest, lot)),
        size_max=Size(_cut(market.size_max, size_decimals, "size_max") // lot * lot),
        notional_min=Money(_raised(market.notional_min, price_decimals + size_decimals, "notional_min")),
        base_currency=market.base,
        quote_currency=market.quote,
        fees=fees,
        status=status,
    )


def book_levels(rows: Iterable[Sequence[str]], instrument: Instrument) -> tuple[Level, ...]:
    """One side of a book, of pairs of price and size as text. Raises `ValueError` for what is no such pair."""
    return tuple((price_of(str(price), instrument), size_of(str(size), instrument)) for price, size in rows)


def price_of(text: str, instrument: Instrument, field: str = "price") -> Price:
    """A price of the instrument. Raises `ValueError`, naming `field`, for one below 0, and for more digits than its
    tick has."""
    return Price(_not_below_0(scaled_of(text, instrument.price_decimals, field), text, field))


def size_of(text: str, instrument: Instrument, field: str = "size", *, is_signed: bool = False) -> Size:
    """A size of the instrument, that of a position where `is_signed`. Raises `ValueError`, naming `field`, for more
    digits than its step has, and for one below 0 where none can be."""
    size = scaled_of(text, instrument.size_decimals, field)
    return Size(size if is_signed else _not_below_0(size, text, field))


def money_of(text: str, instrument: Instrument, field: str = "fee") -> Money:
    """An amount in the instrument's money. Raises `ValueError`, naming `field`, for more digits than that has."""
    return Money(scaled_of(text, instrument.money_decimals, field))


def _not_below_0(value: int, text: str, field: str) -> int:
    if value < 0:
        raise ValueError(f"{field}: {text[:40]!r} is below 0")
    return value


def _cut(text: str, decimals: int, field: str) -> int:
    """A largest value, cut to `decimals`; 0 where it is not known."""
    whole, _, fraction = text.partition(".")
    cut = f"{whole}.{fraction[:decimals]}" if decimals and fraction else whole
    return _not_below_0(scaled_of(cut, decimals, field), cut, field) if text else 0


def _raised(text: str, decimals: int, field: str) -> int:
    """A smallest value, raised to `decimals`; 0 where it is not known."""
    cut = _cut(text, decimals, field)
    return cut + any(digit not in "0" for digit in text.partition(".")[2][decimals:])
