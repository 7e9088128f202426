"""`tidegate limit show|set|reset`: the settings of the gate's checks, as they count now, and changes of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from framework.cli.config import changes_of, load_from
from framework.cli.ledger import state_directory
from framework.cli.operator import request
from framework.cli.tables import print_json, print_lines, table, time_text
from framework.config.check_settings import CheckSettings
from framework.config.resolve import resolve
from framework.domain.errors import EXIT_FAILED, ConfigurationError, suggestion
from framework.domain.operator_requests import Answer, SetLimit, ShowLimits
from framework.domain.views import LimitView
from framework.runtime.unix_socket import NoServer

LIMIT_ACTIONS = ("show", "set", "reset")
_COLUMNS = ("check", "key", "value")


def limit(options: argparse.Namespace) -> int:
    """Show limits, or change one. Raises `ConfigurationError` for what can't be asked for, `NoServer` when one is to be
    changed and no daemon answers."""
    if options.action not in LIMIT_ACTIONS:
        raise ConfigurationError(
            f'limit: there is no action "{options.action}"; {suggestion(options.action, LIMIT_ACTIONS)}'
        )
    if options.action == "show":
        if options.key or options.value:
            raise ConfigurationError("limit show: name one check at most; `tidegate limit set` changes a setting")
        return _show(options)
    is_set = options.action == "set"
    if not options.key or (is_set and not options.value) or (not is_set and options.value):
        raise ConfigurationError(f"limit {options.action}: name CHECK, KEY{' and VALUE' if is_set else ' alone'}")
    question = SetLimit(
        check=options.check, key=options.key, value=options.value, reason=options.reason, confirm=options.confirm
    )
    answer = request(state_directory(options), question)
    if options.json:
        print_json([answer])
    else:
        print_lines(answer.lines if answer.is_ok else [f"tidegate: {line}" for line in answer.lines])
    return 0 if answer.is_ok else EXIT_FAILED


def _show(options: argparse.Namespace) -> int:
    try:
        answer = request(state_directory(options), ShowLimits(options.check))
    except NoServer:
        answer = _from_records(options)
    if not answer.is_ok:
        print_lines(f"tidegate: {line}" for line in answer.lines)
        return EXIT_FAILED
    rows = msgspec.convert(answer.data, list[LimitView])
    if options.json:
        print_json(rows)
    else:
        print_lines([*_table(rows), *_changes(rows), *answer.lines])
    return 0


def _table(rows: Sequence[LimitView]) -> list[str]:
    """The settings in columns; one that was changed while it ran is marked, and explained below."""
    shown: list[dict[str, Any]] = [msgspec.structs.asdict(row) for row in rows]
    for row in shown:
        row["value"] += " *" if row["since_ns"] else ""
    return table(_COLUMNS, shown)


def _changes(rows: Sequence[LimitView]) -> list[str]:
    return [
        f"* {row.check}.{row.key}: set {time_text(row.since_ns)} by {row.by}: {row.reason}; the configuration has "
        f"{row.configured or 'none'}"
        for row in rows
        if row.since_ns
    ]


def _from_records(options: argparse.Namespace) -> Answer:
    """What would count after a start now, by the configuration and the journal."""
    checks = resolve(load_from(options)).checks
    settings = CheckSettings(checks, changes_of(state_directory(options)))
    names = [name for name, _ in settings.checks]
    if options.check and options.check not in names:
        raise ConfigurationError(f'there is no check "{options.check}"; {suggestion(options.check, names)}')
    rows = [row for row in settings.rows() if options.check in ("", row.check)]
    return Answer(is_ok=True, lines=("no daemon runs: so it would be after a start", *settings.unusable), data=rows)
