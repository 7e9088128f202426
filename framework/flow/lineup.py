"""Which instruments a strategy gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from framework.domain.errors import ConfigurationError
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus


def choose_instruments(
    known: Iterable[Instrument], patterns: Sequence[str], *, count_max: int
) -> tuple[InstrumentId, ...]:
    """The active instruments that match a pattern, at most `count_max`, in the order of their names.

    Raises `ConfigurationError` when none does.
    """
    active = sorted(instrument.id for instrument in known if instrument.status is InstrumentStatus.ACTIVE)
    chosen = tuple(one for one in active if any(fnmatchcase(one, pattern) for pattern in patterns))[:count_max]
    if not chosen:
        raise ConfigurationError(
            f"strategies: no active instrument matches {list(patterns)}; the venues offer {active[:5]}"
            f"{' and more' if len(active) > 5 else ''}"
        )
    return chosen
