"""Decimal texts and times of venues as scaled integers and nanoseconds, and back. Exact: nothing is ever rounded. Pure.

Scales come from a venue's tick and step (`decimals_of`), never from the decimals of an asset: 18 of them fit no record.
Amounts in an asset's smallest unit ("base units") are turned into scaled ones where messages are read and written, and
a remainder is refused.
"""

from __future__ import annotations

import calendar
import re
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation
from functools import lru_cache

from framework.domain.numbers import format_scaled, parse_scaled

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# More digits than any amount that is traded here has; sums of such numbers fit a record.
_DIGITS_MAX = 16
# Of texts that are only moved about: their digits, and how far from the point they are.
_PLACES_MAX = 40
_EXACT = Context(prec=4 * _PLACES_MAX)
_SHOWN_MAX = 60
_TIME_NS_MAX = 2**63
_UNITS_NS = ((10**11, NS_PER_S), (10**14, NS_PER_MS), (10**17, NS_PER_US))
_RFC_3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{0,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def scaled_of(text: str, decimals: int, field: str) -> int:
    """A decimal text as an integer scaled by `decimals`: "0.5600" at four is 5600.

    A number with exactly `decimals` digits after its point is the usual form, and only loses the point here; any other
    form is parsed and checked. Raises `ValueError`, naming `field`, for anything that is no finite decimal, has more
    than `decimals` digits after the point, or has over 16 digits in all.
    """
    digits = text[: -decimals - 1] + text[-decimals:]
    is_plain = text[-decimals - 1 : -decimals] == "." and digits.isascii() and digits.removeprefix("-").isdigit()
    if is_plain and len(digits) <= _DIGITS_MAX:
        return int(digits)
    value = parse_scaled(text, decimals, field=field)
    if abs(value) >= 10**_DIGITS_MAX:
        raise ValueError(f"{field}: {text[:40]!r} is too large")
    return value


def cut_to(text: str | None, decimals: int) -> int | None:
    """A figure that is only looked at and valued by, such as an average or a mark, scaled by `decimals`: what is beyond
    them is cut off. None for none, and for what is no number above zero."""
    try:
        cut = Decimal(text or "0").scaleb(decimals).to_integral_value(ROUND_DOWN)
        return int(cut) if 0 < cut < 10**_DIGITS_MAX else None
    except ArithmeticError:
        return None


def decimals_of(step: str, field: str = "step") -> int:
    """How many digits after the point the multiples of a tick or step have: "0.010" has 2, "1" and "50" have none.

    Raises `ValueError`, naming `field`, for a step that is not above 0 or has more than 16 digits after the point.
    """
    scaled = parse_scaled(step, _DIGITS_MAX, field=field)
    if scaled <= 0:
        raise ValueError(f"{field}: {step!r} is not above 0")
    return max(0, -int(Decimal(step).normalize().as_tuple().exponent))


def plain_text(scaled: int, decimals: int) -> str:
    """The shortest text of a scaled integer: 1000 at four decimals is "0.1".

    For venues that sign a number's text: write it once, sign and send the same.
    """
    text = format_scaled(scaled, decimals)
    return text.rstrip("0").removesuffix(".") if decimals else text


def from_base_units(text: str, *, base_decimals: int, decimals: int, field: str) -> int:
    """An amount in units of ten to the power of -`base_decimals` as one scaled by `decimals`.

    Raises `ValueError`, naming `field`, for anything but an integer's text, and for an amount that `decimals` can't
    hold exactly.
    """
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        raise ValueError(f"{field}: {text[:60]!r} is not a whole number of base units")
    return scaled_of(str(Decimal(text).scaleb(-base_decimals)), decimals, field)


def to_base_units(scaled: int, *, decimals: int, base_decimals: int, field: str) -> str:
    """A scaled amount in units of ten to the power of -`base_decimals`. Raises `ValueError` for a remainder."""
    if base_decimals >= decimals:
        return str(scaled * 10 ** (base_decimals - decimals))
    units, rest = divmod(scaled, 10 ** (decimals - base_decimals))
    if rest:
        raise ValueError(f"{field}: {format_scaled(scaled, decimals)} is no whole number of base units")
    return str(units)


def moved_text(text: object, places: int) -> str:
    """A decimal's text moved by so many places: "25" by -2 is "0.25". What is no decimal comes back as it is, at most
    60 characters of it and none for None, so that reading it names its field."""
    found = _decimal(text)
    return str(text or "")[:_SHOWN_MAX] if found is None else f"{found.scaleb(places, _EXACT):f}"


def sum_text(first: str, second: str, *, sign: int = 1) -> str:
    """The sum of two decimals' texts, or with a sign of -1 their difference; empty where one is no decimal."""
    one, other = _decimal(first), _decimal(second)
    return "" if one is None or other is None else f"{_EXACT.add(one, other if sign > 0 else other.copy_negate()):f}"


def exact_text(value: object) -> str | None:
    """A decimal as its shortest text, of a text or of a JSON number, whose digits are those that were sent; None for
    what is no decimal."""
    found = _decimal(value)
    return None if found is None else f"{found.normalize(_EXACT):f}"


def cut_text(text: object, decimals: int, *, rounding: str = ROUND_DOWN) -> str:
    """A decimal's text with so many digits after the point: for amounts that are shown or counted against us (with
    `ROUND_UP`) and are never sent. What is no decimal comes back as from `moved_text`."""
    found = _decimal(text)
    step = Decimal(1).scaleb(-decimals)
    return str(text or "")[:_SHOWN_MAX] if found is None else f"{found.quantize(step, rounding, _EXACT):f}"


def _decimal(text: object) -> Decimal | None:
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        return None
    # A short text may stand for a number of a million digits.
    is_sane = found.is_finite() and abs(found.adjusted()) <= _PLACES_MAX and len(found.as_tuple().digits) <= _PLACES_MAX
    return found if is_sane else None


def time_ns(value: int | str | None, *, unit_ns: int = NS_PER_MS, field: str = "time") -> int:
    """Unix nanoseconds of a venue's time: a number of `unit_ns`, also as text, or an ISO text (RFC 3339).

    0 for None, 0, "" and year 1, which mean that it is not set. Raises `ValueError`, naming `field`, for anything else
    and for times that no record holds.
    """
    if isinstance(value, str) and not value.isdecimal():
        return iso_ns(value)
    found = int(value or 0) * unit_ns
    if not 0 <= found < _TIME_NS_MAX:
        raise ValueError(f"{field}: {value!r} is no time")
    return found


def any_unit_ns(value: object, *, field: str = "time") -> int:
    """Unix nanoseconds of a time in seconds, milliseconds, microseconds or nanoseconds, as the number of its digits
    tells, also as text, or RFC 3339: for venues that write their times in several ways. From 1973 to 5138 no two units
    have as many digits. 0 for none. Raises `ValueError` like `time_ns`."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not text.isdecimal() or not text.isascii():
        return time_ns(text, field=field)
    number = int(text[:20])
    return time_ns(number, unit_ns=next((unit for most, unit in _UNITS_NS if number < most), 1), field=field)


@lru_cache(maxsize=4096)
def iso_ns(text: str | None) -> int:
    """Unix nanoseconds of an RFC 3339 time with 0 to 9 fractional digits; 0 for None, "" and year 1 (unset).

    Raises `ValueError` for anything else, and for times that no record holds.
    """
    if not text or text.startswith("0001-01-01"):
        return 0
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError(f"time: {text[:60]!r} is not RFC 3339")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    is_date = 1970 <= year <= 2261 and 1 <= month <= 12 and 1 <= day <= 31
    if not is_date or hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"time: {text!r} is not RFC 3339 from 1970 to 2261")
    seconds = calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0)) - _zone_s(found[8])
    return max(seconds * NS_PER_S + int((found[7] or "").ljust(9, "0")), 0)


def _zone_s(zone: str) -> int:
    if zone in ("Z", "z"):
        return 0
    sign = 1 if zone[0] == "+" else -1
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
