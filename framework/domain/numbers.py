"""Scaled integers: the only numbers in which money, prices and sizes are kept.

A scaled integer is the decimal number times ten to the power of its decimals: a price of 0.5600 at four
decimals is 5600. `Decimal` and text appear at the edges only (configuration, wire, display); floats never.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NewType

Price = NewType("Price", int)
"""A price, scaled by the instrument's `price_decimals`."""

Size = NewType("Size", int)
"""A quantity of contracts, coins or lots, scaled by `size_decimals`. Signed only in positions (long > 0)."""

Money = NewType("Money", int)
"""An amount in the quote currency, scaled by `price_decimals + size_decimals`: `Money(price * size)`."""

DECIMALS_MAX = 24
"""The most decimals that an amount has."""


def parse_scaled(value: str | int | Decimal, decimals: int, *, field: str = "value") -> int:
    """Turn an exact decimal into a scaled integer.

    Raises `ValueError` naming `field` when the value is not a finite decimal number or has more digits than
    `decimals` can hold: nothing is ever rounded here.
    """
    if not 0 <= decimals <= DECIMALS_MAX:
        raise ValueError(f"decimals: {decimals} is outside 0..{DECIMALS_MAX}")
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"{field}: {value!r} is not an exact decimal; give text, int or Decimal, never a float")
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        raise ValueError(f"{field}: {value!r} is not a decimal number in plain digits")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{field}: {value!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{field}: {value!r} is not a finite number")
    sign, digits, exponent = number.as_tuple()
    shift = int(exponent) + decimals
    mantissa = int("".join(map(str, digits)))
    if shift >= 0:
        if shift > 2 * DECIMALS_MAX:
            raise ValueError(f"{field}: {value!r} is too large")
        scaled = mantissa * int(10**shift)
    else:
        scaled, rest = divmod(mantissa, 10 ** min(-shift, 2 * DECIMALS_MAX + len(digits)))
        if rest:
            raise ValueError(f"{field}: {value!r} has more than {decimals} decimals; give at most {decimals}")
    return -scaled if sign else scaled


def to_decimal(scaled: int, decimals: int) -> Decimal:
    """The exact decimal that a scaled integer stands for; always shows `decimals` digits."""
    return Decimal(scaled).scaleb(-decimals)


def format_scaled(scaled: int, decimals: int) -> str:
    """Text with exactly `decimals` digits after the point: `format_scaled(5600, 4) == "0.5600"`."""
    if decimals == 0:
        return str(scaled)
    sign = "-" if scaled < 0 else ""
    whole, fraction = divmod(abs(scaled), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}"


def as_recorded(amount: int) -> int | str:
    """An integer as MessagePack can hold it: as text where a sum or a product passes 64 bits."""
    return amount if -(2**63) <= amount < 2**63 else str(amount)


UNPLACED = "scaled:"
"""The beginning of an amount's text while its decimals are not known."""


def amount_text(scaled: int, decimals: int | None) -> str:
    """An amount as an exact decimal, or `scaled:<integer>` while `decimals` is not known."""
    return f"{UNPLACED}{scaled}" if decimals is None else format_scaled(scaled, decimals)
