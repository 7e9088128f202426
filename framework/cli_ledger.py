"""`tidegate orders|fills|positions|refusals|orphans`: the ledger, read while a daemon writes it or not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from framework.cli_config import load_from
from framework.cli_tables import print_json, print_lines, table, time_text
from framework.domain.errors import ConfigurationError
from framework.state.ledger_reader import LedgerReader

LEDGER_NAME = "ledger.sqlite3"
NUMBERS = ("price", "size", "filled", "fee", "fees", "record")


def state_directory(options: argparse.Namespace) -> Path:
    """The state directory that the options name, or that their configuration does."""
    return Path(options.state_dir) if options.state_dir else load_from(options).config.state_dir


def orders(options: argparse.Namespace) -> int:
    """Print the newest orders."""
    columns = ("created", "client_order_id", "strategy", "instrument", "side", "price", "size", "filled", "status",
               "reason")  # fmt: skip
    return _print(
        options,
        columns,
        lambda ledger: ledger.orders(strategy=options.strategy, open_only=options.open, limit=_limit(options)),
    )


def fills(options: argparse.Namespace) -> int:
    """Print the newest fills."""
    columns = ("time", "strategy", "instrument", "side", "price", "size", "fee", "client_order_id", "fill_id", "note")
    return _print(options, columns, lambda ledger: ledger.fills(strategy=options.strategy, limit=_limit(options)))


def positions(options: argparse.Namespace) -> int:
    """Print the account's positions, or a strategy's part of them."""
    columns = ("venue", "instrument", "size", "fees", "settled_value")
    return _print(options, columns, lambda ledger: ledger.positions(strategy=options.strategy)[: _limit(options)])


def refusals(options: argparse.Namespace) -> int:
    """Print the newest refusals of the gate."""
    columns = ("time", "strategy", "instrument", "code", "check_name", "detail")
    return _print(options, columns, lambda ledger: ledger.refusals(strategy=options.strategy, limit=_limit(options)))


def orphans(options: argparse.Namespace) -> int:
    """Print open orders at the venues that are not ours, as they were listed last."""
    columns = ("seen", "venue", "venue_order_id", "instrument", "side", "price", "size", "filled", "client_order_id",
               "ignored_for")  # fmt: skip
    return _print(options, columns, lambda ledger: ledger.orphans(ignored=options.ignored, limit=_limit(options)))


def _print(
    options: argparse.Namespace, columns: Sequence[str], query: Callable[[LedgerReader], Sequence[msgspec.Struct]]
) -> int:
    """Run one query and print it. What the ledger missed is told on standard error, so that no row looks complete."""
    ledger = LedgerReader(state_directory(options) / LEDGER_NAME)
    try:
        rows = [msgspec.structs.asdict(row) for row in query(ledger)]
        gap = ledger.gap
    finally:
        ledger.close()
    if gap:
        sys.stderr.write(f"tidegate: the ledger has not seen records {gap}; run `tidegate journal rebuild-ledger`\n")
    if options.json:
        print_json(rows)
    elif rows:
        print_lines(table(columns, [_shown(row) for row in rows], right=NUMBERS))
    else:
        print_lines([f"no {options.verb}"])
    return 0


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with what people want to see of it: times as text, remarks in one column."""
    times = {"created": "created_ns", "seen": "seen_ns"}
    shown = row | {name: time_text(row[source]) for name, source in times.items() if source in row}
    if "ts_ns" in row or "ts_venue" in row:
        shown["time"] = time_text(row.get("ts_ns") or row.get("ts_venue") or row.get("ts_recv") or 0)
    if "is_voided" in row:
        notes = ("voided" if row["is_voided"] else "", "maker" if row["is_maker"] else "taker")
        shown["note"] = ", ".join(note for note in notes if note)
    return shown


def _limit(options: argparse.Namespace) -> int:
    if options.limit < 1:
        raise ConfigurationError(f"--limit: {options.limit} is not a number of rows; give 1 or more")
    return int(options.limit)
