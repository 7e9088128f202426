"""`tidegate orders|fills|refusals|external-orders`: the ledger, read while a daemon writes it or not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from framework.cli.config import load_from
from framework.cli.tables import print_json, print_lines, print_table, time_text
from framework.domain.account_events import FillSource
from framework.domain.errors import ConfigurationError, JournalError
from framework.persistence.journal.records import Entry
from framework.persistence.journal.scan import read_entries
from framework.persistence.ledger.reader import LedgerReader
from framework.runtime.clock import SystemClock
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, LEDGER_NAME

LAG_NS_MAX = 5_000_000_000
"""The ledger is written behind the journal: a record younger than this many nanoseconds is not called missing yet."""

NUMBERS = ("price", "size", "filled", "fee", "fees", "record", "average", "mark", "unrealised", "realised")


def state_directory(options: argparse.Namespace) -> Path:
    """The state directory that `--state-dir` names, else the one of the configuration.

    Raises `ConfigurationError` for a configuration that can't be used; with `--state-dir` none is read.
    """
    return Path(options.state_dir) if options.state_dir else load_from(options).config.state_dir


def orders(options: argparse.Namespace) -> int:
    """Print the newest orders, the newest first; with `--open` only those that have not ended.

    Raises `LedgerError` when the ledger can't be read, as every verb here does, and `ConfigurationError` for a
    `--limit` below 1.
    """
    columns = ("created", "client_order_id", "strategy", "instrument", "side", "price", "size", "filled", "status",
               "reason", "kind")  # fmt: skip
    return print_rows(
        options,
        columns,
        lambda ledger: ledger.orders(strategy=options.strategy, open_only=options.open, limit=limit_of(options)),
    )


def fills(options: argparse.Namespace) -> int:
    """Print the newest fills with fee and a note: taken back, maker or taker, and what one was inferred from."""
    columns = ("time", "strategy", "instrument", "side", "price", "size", "fee", "client_order_id", "fill_id", "note")
    return print_rows(options, columns, lambda ledger: ledger.fills(strategy=options.strategy, limit=limit_of(options)))


def refusals(options: argparse.Namespace) -> int:
    """Print the newest refusals of the gate."""
    columns = ("time", "strategy", "instrument", "code", "check_name", "detail")
    return print_rows(
        options, columns, lambda ledger: ledger.refusals(strategy=options.strategy, limit=limit_of(options))
    )


def list_external_orders(options: argparse.Namespace) -> int:
    """Print open orders at the venues that are not ours, as reconciliation listed them last."""
    columns = ("seen", "venue", "venue_order_id", "instrument", "side", "price", "size", "filled", "client_order_id",
               "ignored_for")  # fmt: skip
    return print_rows(
        options, columns, lambda ledger: ledger.external_orders(ignored=options.ignored, limit=limit_of(options))
    )


def print_rows(
    options: argparse.Namespace, columns: Sequence[str], query: Callable[[LedgerReader], Sequence[msgspec.Struct]]
) -> int:
    """Run one query on the ledger and print it; returns 0. What the ledger misses goes to standard error, so that the
    rows are not taken for complete. Raises `LedgerError` when it can't be read."""
    directory = state_directory(options)
    ledger = LedgerReader(directory / LEDGER_NAME)
    try:
        remarks = list(_remarks(ledger, directory / JOURNAL_NAME))
        rows = [msgspec.structs.asdict(row) for row in query(ledger)]
    finally:
        ledger.close()
    for remark in remarks:
        sys.stderr.write(f"tidegate: {remark}\n")
    if options.json:
        print_json(rows)
    elif rows:
        print_table(columns, [_shown(row) for row in rows], right=NUMBERS)
    else:
        print_lines([f"no {options.verb.replace('-', ' ')}"])
    return 0


def _remarks(ledger: LedgerReader, journal: Path) -> Iterator[str]:
    """A sentence for each part of the journal that the ledger does not show."""
    if ledger.gap:
        yield f"the ledger has not seen records {ledger.gap}; run `tidegate journal rebuild-ledger`"
    if ledger.begins_after:
        yield (
            f"the ledger was made from a snapshot after record {ledger.begins_after}: older orders and fills may be "
            "missing, positions are whole"
        )
    waits = _first_missing(journal, ledger.applied_number)
    if waits is not None and SystemClock().now_ns() - waits.record.now_ns > LAG_NS_MAX:
        yield (
            f"the ledger is behind the journal: record {waits.number} of {time_text(waits.record.now_ns)} and later "
            "ones are not shown. Start the daemon again, or with it stopped run `tidegate journal rebuild-ledger`"
        )


def _first_missing(journal: Path, applied: int) -> Entry | None:
    try:
        return next(read_entries(RealFiles(), journal, first=applied + 1), None)
    except (OSError, JournalError):
        return None  # a listing shows the ledger; damage of the journal is for `journal verify` to report


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the table shows it: times as text, remarks in one column."""
    times = {"created": "created_ns", "seen": "seen_ns"}
    shown = row | {name: time_text(row[source]) for name, source in times.items() if source in row}
    if "ts_ns" in row or "ts_venue" in row:
        shown["time"] = time_text(row.get("ts_ns") or row.get("ts_venue") or row.get("ts_recv") or 0)
    if "trigger_kind" in row:
        trigger = (row["trigger_kind"], row["trigger_price"], f"by {row['trigger_by']}") if row["trigger_kind"] else ()
        amount = ("for", row["quote_amount"]) if row["quote_amount"] else ()
        shown["kind"] = " ".join((row["kind"], *amount, *trigger))
    if "is_voided" in row:
        source = "" if row["source"] == FillSource.LISTED.value else row["source"].replace("_", " from the ")
        notes = ("voided" if row["is_voided"] else "", "maker" if row["is_maker"] else "taker", source)
        shown["note"] = ", ".join(note for note in notes if note)
    return shown


def limit_of(options: argparse.Namespace) -> int:
    """The number of rows that `--limit` asks for. Raises `ConfigurationError` for one below 1."""
    if options.limit < 1:
        raise ConfigurationError(f"--limit: {options.limit} is not a number of rows; give 1 or more")
    return int(options.limit)
