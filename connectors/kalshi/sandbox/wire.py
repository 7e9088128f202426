"""Numbers, times and identifiers as the venue writes them.

Inside the sandbox a price is an integer of 10^-4 dollars, a count an integer of 10^-2 contracts and money
an integer of 10^-6 dollars, so that price x count is money without rounding. On the wire all three are
decimal strings with a fixed number of digits (recorded answers): prices 4, counts 2, money 6.
These constants and functions stand apart from the client's own: a shared mistake would pass on both sides.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S

PRICE_DECIMALS = 4
COUNT_DECIMALS = 2
MONEY_DECIMALS = PRICE_DECIMALS + COUNT_DECIMALS
PRICE_ONE = 10_000
COUNT_ONE = 100
MONEY_ONE = PRICE_ONE * COUNT_ONE
MONEY_PER_CENT = MONEY_ONE // 100

NS_PER_US = 1_000

_DECIMAL = re.compile(r"^[0-9]{1,12}(?:\.([0-9]{1,6}))?$")
_ID_NAMESPACE = uuid.UUID("7f0c5a4e-6a0b-5b7e-9d25-3d0f6f1f5e11")


def fixed(value: int, decimals: int) -> str:
    """`value` x 10^-decimals as a string with exactly `decimals` digits after the point."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}"


def price(value: int) -> str:
    """A price in dollars, 4 digits: `0.5600`."""
    return fixed(value, PRICE_DECIMALS)


def no_price(value: int) -> str:
    """The price of the opposite outcome: one dollar less the YES price, 4 digits."""
    return fixed(PRICE_ONE - value, PRICE_DECIMALS)


def count(value: int) -> str:
    """A number of contracts, 2 digits: `10.00`."""
    return fixed(value, COUNT_DECIMALS)


def money(value: int) -> str:
    """An amount in dollars, 6 digits: `0.017500`."""
    return fixed(value, MONEY_DECIMALS)


def money_short(value: int) -> str:
    """An amount in dollars cut towards zero to 4 digits, as balances are written: `98.0186`."""
    sign = -1 if value < 0 else 1
    return fixed(sign * (abs(value) // 100), PRICE_DECIMALS)


def cents(value: int) -> int:
    """Money as whole cents, truncated towards zero (recorded answer: 98.0186 dollars is 9801)."""
    return _towards_zero(value, MONEY_PER_CENT)


def dollars(value: int) -> int:
    """Money as whole dollars, truncated towards zero."""
    return _towards_zero(value, MONEY_ONE)


def parse_decimal(text: str, decimals: int) -> int | None:
    """A plain decimal string as an integer of 10^-decimals; None when malformed or more precise than that."""
    found = _DECIMAL.match(text)
    if found is None:
        return None
    fraction = found.group(1) or ""
    if len(fraction.rstrip("0")) > decimals:
        return None
    whole = text.split(".", 1)[0]
    return int(whole + (fraction + "0" * decimals)[:decimals])


def _towards_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)


def stable_uuid(*parts: object) -> str:
    """A UUID string that is the same for the same parts in every process."""
    digest = hashlib.sha256(_ID_NAMESPACE.bytes + "\x1f".join(str(part) for part in parts).encode())
    return str(uuid.UUID(bytes=digest.digest()[:16], version=4))


class VenueClock:
    """The venue's wall clock: the machine's, plus a skew that a fault may set.

    The engine runs on unskewed time; everything shown to clients, and the check of a signature's age, is skewed.
    `now_ns` reads wall time in nanoseconds since the Unix epoch; `skew_ns` may be negative.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.skew_ns = 0

    def engine_ns(self) -> int:
        """Unskewed time in nanoseconds: what the engine and the audit report record."""
        return self._now_ns()

    def shown_ns(self) -> int:
        """The venue's time as clients see it now, in nanoseconds."""
        return self._now_ns() + self.skew_ns

    def to_engine_ns(self, shown_ns: int) -> int:
        """A time that a client named, as engine time; both in nanoseconds."""
        return shown_ns - self.skew_ns

    def rfc3339(self, engine_ns: int) -> str:
        """Engine time as RFC3339 with up to 6 fractional digits, trailing zeros trimmed (recorded answers)."""
        return rfc3339(engine_ns + self.skew_ns)

    def rfc3339_ms(self, engine_ns: int) -> str:
        """Engine time as RFC3339, truncated to milliseconds (vendor docs, deprecated stream fields)."""
        shown_ns = engine_ns + self.skew_ns
        return rfc3339(shown_ns - shown_ns % NS_PER_MS)

    def seconds(self, engine_ns: int) -> int:
        """Engine time (nanoseconds) as whole Unix seconds on the venue's clock."""
        return (engine_ns + self.skew_ns) // NS_PER_S

    def ms(self, engine_ns: int) -> int:
        """Engine time (nanoseconds) as whole Unix milliseconds on the venue's clock."""
        return (engine_ns + self.skew_ns) // NS_PER_MS


def rfc3339(ns: int) -> str:
    """Nanoseconds since the epoch as RFC3339 in UTC; microseconds with trailing zeros trimmed."""
    whole, rest = divmod(ns, NS_PER_S)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest // NS_PER_US:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
