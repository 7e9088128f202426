"""Limits as settings: exact decimals with exceptions per instrument, scaled once per instrument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator

from framework.domain.instruments import Instrument, InstrumentId


def parse_limit(value: object) -> Decimal:
    """An exact, finite, positive decimal from text, an int or a `Decimal`.

    Raises `ValueError` that says what to write instead. A float is refused: 0.1 of TOML is read as a `Decimal` before
    it comes here, so a float is already inexact.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f'{value!r} is not an exact decimal; write it as text, for example "10.5"')
    try:
        limit = Decimal(value)
    except InvalidOperation:
        raise ValueError(f'{value!r} is not a decimal number; write for example "10.5"') from None
    if not limit.is_finite() or limit <= 0:
        raise ValueError(f"{value!r} is not a finite number above 0")
    return limit


MAXIMUM: Any = {"is_maximum": True}
"""As `json_schema_extra`: less of this field is stricter. Fields named `max_…` or `…_max` need no word of it."""


def exceptions_to(field: str) -> Any:
    """As `json_schema_extra` of a table by instrument pattern: exceptions to this field, of which less is stricter."""
    return {"is_maximum": field}


Limit = Annotated[Decimal, BeforeValidator(parse_limit)]
"""A settings field that is a limit: an exact decimal above 0, written as text or a number in TOML."""


class LimitTable:
    """A limit in an instrument's own scaled integers: of the first matching pattern, else the general one.

    A limit finer than the instrument's digits is cut down, towards less risk. Patterns are shell-like and match the
    whole `venue:symbol`, upper and lower case distinguished. Results are kept until an instrument is defined anew.
    Checks keep their table: changed limits are a new, validated model, never a `model_copy` of the old one.
    """

    __slots__ = ("_decimals_of", "_general", "_kept", "_overrides")

    def __init__(
        self, general: Decimal, overrides: Mapping[str, Decimal], *, decimals_of: Callable[[Instrument], int]
    ) -> None:
        self._general = general
        self._overrides = tuple(overrides.items())
        self._decimals_of = decimals_of
        self._kept: dict[InstrumentId, tuple[Instrument, int]] = {}

    def scaled(self, instrument: Instrument) -> int:
        """The limit for an instrument as a scaled integer, in the decimals that `decimals_of` gives; never rounded
        up."""
        kept = self._kept.get(instrument.id)
        if kept is not None and kept[0] is instrument:
            return kept[1]
        limit = next(
            (limit for pattern, limit in self._overrides if fnmatchcase(instrument.id, pattern)), self._general
        )
        numerator, denominator = limit.as_integer_ratio()
        scaled: int = numerator * 10 ** self._decimals_of(instrument) // denominator
        self._kept[instrument.id] = (instrument, scaled)
        return scaled
