"""Kalshi's numbers and times, turned into scaled integers and nanoseconds. Exact: nothing is rounded.

Prices carry 4 decimals, contract counts 2, money 6 (vendor docs). Money of an instrument is price times count, so
its 6 decimals are the venue's own.
"""

from __future__ import annotations

import calendar
from functools import lru_cache

from framework.domain.numbers import Money, Price, Size, format_scaled, parse_scaled

PRICE_DECIMALS = 4
SIZE_DECIMALS = 2
MONEY_DECIMALS = PRICE_DECIMALS + SIZE_DECIMALS
PRICE_ONE = Price(10**PRICE_DECIMALS)
"""One dollar: what a YES contract pays at most."""

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# More digits than any amount here has; sums of such numbers fit a record.
_DIGITS_MAX = 16

# A day's stream repeats a few thousand texts; a cached result costs a tenth of a parsed one.
_CACHE_ENTRIES = 65_536


@lru_cache(maxsize=_CACHE_ENTRIES)
def price_of(text: str) -> Price:
    """A price in dollars, scaled by `PRICE_DECIMALS`: "0.5600" -> 5600. Raises `ValueError` for anything else."""
    return Price(_scaled(text, PRICE_DECIMALS, "price"))


@lru_cache(maxsize=_CACHE_ENTRIES)
def size_of(text: str) -> Size:
    """Contracts, signed, scaled by `SIZE_DECIMALS`: "-3.00" -> -300. Raises `ValueError` for anything else."""
    return Size(_scaled(text, SIZE_DECIMALS, "count"))


def money_of(text: str) -> Money:
    """Dollars, scaled by `MONEY_DECIMALS`: "0.017500" -> 17500. Raises `ValueError` for anything else."""
    return Money(_scaled(text, MONEY_DECIMALS, "amount"))


def price_text(price: Price) -> str:
    """A scaled price as requests carry it: 5600 -> "0.5600"."""
    return format_scaled(price, PRICE_DECIMALS)


def size_text(size: Size) -> str:
    """A scaled size as requests carry it: 1000 -> "10.00"."""
    return format_scaled(size, SIZE_DECIMALS)


@lru_cache(maxsize=4096)
def time_of(text: str | None) -> int:
    """Unix nanoseconds of an RFC 3339 time with 0 to 9 fractional digits; 0 for None, "" and year 1 (unset).

    The venue trims trailing zeros of the fraction (recorded answer). Raises `ValueError` for anything else.
    """
    if not text or text.startswith("0001-01-01"):
        return 0
    try:
        date, clock = text[:10], text[11:19]
        rest = text[19:]
        fraction = ""
        if rest.startswith("."):
            end = next((i for i, c in enumerate(rest[1:], 1) if not c.isdigit()), len(rest))
            fraction, rest = rest[1:end], rest[end:]
        year, month, day = map(int, date.split("-"))
        hour, minute, second = map(int, clock.split(":"))
        if text[10] not in "Tt " or len(fraction) > 9 or not 1 <= month <= 12 or not 1 <= day <= 31:
            raise ValueError(text)
        seconds = calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0)) - _offset_s(rest)
    except (ValueError, IndexError):
        raise ValueError(f"time: {text!r} is not RFC 3339") from None
    return seconds * NS_PER_S + int(fraction.ljust(9, "0"))


def _scaled(text: str, decimals: int, field: str) -> int:
    """Drop the point of a number with exactly `decimals` digits after it: the usual form, and the fastest to read.
    Any other form is parsed and checked."""
    digits = text[: -decimals - 1] + text[-decimals:]
    is_plain = text[-decimals - 1 : -decimals] == "." and digits.isascii() and digits.removeprefix("-").isdigit()
    if is_plain and len(digits) <= _DIGITS_MAX:
        return int(digits)
    value = parse_scaled(text, decimals, field=field)
    if abs(value) >= 10**_DIGITS_MAX:
        raise ValueError(f"{field}: {text[:40]!r} is too large")
    return value


def _offset_s(zone: str) -> int:
    if zone in ("Z", "z"):
        return 0
    sign = {"+": 1, "-": -1}.get(zone[:1])
    if sign is None or len(zone) != 6:
        raise ValueError(zone)
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
