"""The gate's checks as tables by name: the name of an entry of the earlier array form, and the order of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from framework.domain.errors import ConfigurationError, suggestion

FIRST, LAST = "trading_state", "rate_budget"
"""The names of the checks that are asked first and last, wherever they stand: a halt comes before every limit, and
tokens are asked for only when nothing else speaks against an order."""

_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class PlacedCheck(Protocol):
    """What the order asks of a check: the name of the one that it comes after, or an empty string."""

    @property
    def after(self) -> str:
        """Name of a check, or an empty string."""
        ...


def name_of_check(use: str) -> str:
    """The name of a check that was given without one: its class in snake_case, without a `Check` at its end.

    `risk.max_position:MaxPosition` is `max_position`, `risk.trading_state:TradingStateCheck` is `trading_state`.
    """
    words = _WORD_BEGINS.sub("_", use.rpartition(":")[2]).lower()
    return re.sub(r"[^a-z0-9_]+", "_", words.removesuffix("_check")) or "unnamed"


def as_tables(checks: Any) -> Any:
    """The array form `[[checks]]` as tables by name, `_2` for a repeat; anything else as it is."""
    if not isinstance(checks, list) or not all(isinstance(row, dict) for row in checks):
        return checks
    tables: dict[str, Any] = {}
    for row in checks:
        name, count = name_of_check(str(row.get("use", ""))), 1
        free = name
        while free in tables:
            count += 1
            free = f"{name}_{count}"
        tables[free] = row
    return tables


def order_of_checks(rows: Mapping[str, PlacedCheck]) -> Sequence[str]:
    """The names in the order in which the gate asks: `FIRST`, the others as they appear, each `after` directly behind
    the one that it names, `LAST`. Raises `ConfigurationError` for an `after` that can't be."""
    behind: dict[str, list[str]] = {}
    for name in sorted(rows, key=lambda one: (one == LAST) - (one == FIRST)):
        behind.setdefault(rows[name].after, []).append(name)
    problems = [problem for name, row in rows.items() if (problem := _misplaced(name, row.after, rows))]
    found = list(_followers("", behind))
    if not problems and len(found) < len(rows):
        circle = ", ".join(name for name in rows if name not in found)
        problems = [f"checks: each of {circle} is to come after another of them; take one `after` away"]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return found


def _followers(name: str, behind: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for follower in behind.get(name, ()):
        yield follower
        yield from _followers(follower, behind)


def _misplaced(name: str, after: str, rows: Mapping[str, PlacedCheck]) -> str:
    if not after:
        return ""
    if name in (FIRST, LAST):
        return f"checks.{name}.after: {name} is always asked {'first' if name == FIRST else 'last'}; remove this"
    if after == LAST:
        return f"checks.{name}.after: {LAST} is always asked last, nothing comes after it; name another check"
    if after not in rows:
        return f'checks.{name}.after: no check is named "{after}"; {suggestion(after, rows)}'
    return ""
