"""Scaled integers as decimal text, and back. These stand apart from the client's own: a shared mistake would pass on
both sides."""

from __future__ import annotations

import re

_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.([0-9]{1,18}))?")


def fixed(value: int, decimals: int) -> str:
    """`value` x 10^-decimals as a string with exactly `decimals` digits after the point; 0 decimals write no point."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}" if decimals else f"{sign}{whole}"


def trimmed(value: int, decimals: int) -> str:
    """`value` x 10^-decimals without trailing zeros after the point: 30000, 0.1."""
    text = fixed(value, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_decimal(text: str, decimals: int) -> int | None:
    """A plain decimal string as an integer of 10^-decimals; None when malformed or more precise than that."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return None
    fraction = found.group(1) or ""
    if len(fraction.rstrip("0")) > decimals:
        return None
    whole = text.split(".", 1)[0]
    return int(whole + (fraction + "0" * decimals)[:decimals])
