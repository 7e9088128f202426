"""Kalshi's numbers as scaled integers. Exact: nothing is rounded.

Prices carry 4 decimals, contract counts 2, money 6 (vendor docs). Money of an instrument is price times count, so
its 6 decimals are the venue's own.
"""

from __future__ import annotations

from functools import lru_cache

from connectors.client.wire.decimals import scaled_of
from framework.domain.numbers import Money, Price, Size, format_scaled

PRICE_DECIMALS = 4
SIZE_DECIMALS = 2
MONEY_DECIMALS = PRICE_DECIMALS + SIZE_DECIMALS
PRICE_ONE = Price(10**PRICE_DECIMALS)
"""One dollar: what a YES contract pays at most."""

# A day's stream repeats a few thousand texts; a cached result costs a tenth of a parsed one.
_CACHE_ENTRIES = 65_536


@lru_cache(maxsize=_CACHE_ENTRIES)
def price_of(text: str) -> Price:
    """A price in dollars, scaled by `PRICE_DECIMALS`: "0.5600" -> 5600. Raises `ValueError` for anything else, and for
    a price below 0 or above one dollar, which no contract can have."""
    price = Price(scaled_of(text, PRICE_DECIMALS, "price"))
    if not 0 <= price <= PRICE_ONE:
        raise ValueError(f"price: {text!r} is not from 0 to 1")
    return price


@lru_cache(maxsize=_CACHE_ENTRIES)
def size_of(text: str) -> Size:
    """Contracts, signed, scaled by `SIZE_DECIMALS`: "-3.00" -> -300. Raises `ValueError` for anything else."""
    return Size(scaled_of(text, SIZE_DECIMALS, "count"))


@lru_cache(maxsize=_CACHE_ENTRIES)
def count_of(text: str) -> Size:
    """Contracts of an order, a level or a trade: `size_of`, but never below 0. Raises `ValueError`, for that, too."""
    size = size_of(text)
    if size < 0:
        raise ValueError(f"count: {text!r} is below 0")
    return size


def money_of(text: str) -> Money:
    """Dollars, scaled by `MONEY_DECIMALS`: "0.017500" -> 17500. Raises `ValueError` for anything else."""
    return Money(scaled_of(text, MONEY_DECIMALS, "amount"))


def price_text(price: Price) -> str:
    """A scaled price as requests carry it: 5600 -> "0.5600"."""
    return format_scaled(price, PRICE_DECIMALS)


def size_text(size: Size) -> str:
    """A scaled size as requests carry it: 1000 -> "10.00"."""
    return format_scaled(size, SIZE_DECIMALS)
