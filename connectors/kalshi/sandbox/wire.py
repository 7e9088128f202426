"""Numbers as the venue writes them.

Inside the sandbox a price is an integer of 10^-4 dollars, a count an integer of 10^-2 contracts and money
an integer of 10^-6 dollars, so that price x count is money without rounding. On the wire all three are
decimal strings with a fixed number of digits (recorded answers): prices 4, counts 2, money 6.
These constants and functions stand apart from the client's own: a shared mistake would pass on both sides.
"""

from __future__ import annotations

from connectors.sandbox.serving.decimals import fixed

PRICE_DECIMALS = 4
COUNT_DECIMALS = 2
MONEY_DECIMALS = PRICE_DECIMALS + COUNT_DECIMALS
PRICE_ONE = 10_000
COUNT_ONE = 100
MONEY_ONE = PRICE_ONE * COUNT_ONE


def price(value: int) -> str:
    """A price in dollars, 4 digits: `0.5600`."""
    return fixed(value, PRICE_DECIMALS)


def no_price(value: int) -> str:
    """The price of the opposite outcome: one dollar less the YES price, 4 digits."""
    return fixed(PRICE_ONE - value, PRICE_DECIMALS)


def count(value: int) -> str:
    """A number of contracts, 2 digits: `10.00`."""
    return fixed(value, COUNT_DECIMALS)


def prices(**named: int) -> dict[str, str]:
    """Prices as members: `yes_price=5600` is `"yes_price_dollars": "0.5600"`."""
    return {f"{name}_dollars": price(value) for name, value in named.items()}


def amounts(**named: int) -> dict[str, str]:
    """Money as members, 6 digits: `fees=17500` is `"fees_dollars": "0.017500"`."""
    return {f"{name}_dollars": money(value) for name, value in named.items()}


def counts(**named: int) -> dict[str, str]:
    """Numbers of contracts as members: `volume=1000` is `"volume_fp": "10.00"`."""
    return {f"{name}_fp": count(value) for name, value in named.items()}


def money(value: int) -> str:
    """An amount in dollars, 6 digits: `0.017500`."""
    return fixed(value, MONEY_DECIMALS)


def money_short(value: int) -> str:
    """An amount in dollars cut towards zero to 4 digits, as balances are written: `98.0186`."""
    return fixed(_towards_zero(value, MONEY_ONE // PRICE_ONE), PRICE_DECIMALS)


def cents(value: int) -> int:
    """Money as whole cents, truncated towards zero (recorded answer: 98.0186 dollars is 9801)."""
    return _towards_zero(value, MONEY_ONE // 100)


def dollars(value: int) -> int:
    """Money as whole dollars, truncated towards zero."""
    return _towards_zero(value, MONEY_ONE)


def _towards_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)
