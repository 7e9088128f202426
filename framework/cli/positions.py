"""`tidegate positions`: sizes and fees by the ledger, average and realised profit by the journal, and the value of what
is open by the books of the daemon, where one runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from framework.cli.ledger import limit_of, print_rows, state_directory
from framework.cli.operator import request
from framework.domain.errors import JournalError
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import format_scaled, to_decimal
from framework.domain.operator_requests import ShowStatus
from framework.ops.status import MarkStatus, Status
from framework.persistence.journal.restore import read_accounts
from framework.persistence.ledger.reader import LedgerReader, PositionLine
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME
from framework.runtime.unix_socket import NoServer
from framework.state.accounts import Accounts
from framework.state.positions import Position

COLUMNS = (
    "venue",
    "instrument",
    "size",
    "average",
    "mark",
    "unrealised",
    "realised",
    "fees",
    "settled_value",
    "funding",
)
_MARKS_S_MAX = 3.0  # without the daemon's books the rest is shown
_MORE_DECIMALS = 2


class PositionRow(msgspec.Struct, frozen=True):
    """A position. Amounts are exact decimals in the quote currency, empty where they are not known: `average` is the
    price per contract of the open part, rounded to two decimals more than prices have; `mark` at what it is valued,
    with the side of the book where that is not the mid; `realised` and `unrealised` are before fees. `funding` is what
    funding of a perpetual brought; empty where there was none."""

    venue: str
    instrument: str
    size: str
    fees: str
    settled_value: str
    average: str
    mark: str
    unrealised: str
    realised: str
    funding: str = ""


def positions(options: argparse.Namespace) -> int:
    """Print the account's positions, or a strategy's part of them; returns 0.

    Raises `LedgerError` when the ledger can't be read, and `ConfigurationError` for a `--limit` below 1.
    """
    directory = state_directory(options)
    accounts, marks = _accounts(directory), _marks(directory)

    def rows(ledger: LedgerReader) -> list[PositionRow]:
        lines = ledger.positions(strategy=options.strategy)[: limit_of(options)]
        return [_row(line, accounts, options.strategy, marks) for line in lines]

    return print_rows(options, COLUMNS, rows)


def _accounts(directory: Path) -> Accounts:
    try:
        return read_accounts(RealFiles(), directory / JOURNAL_NAME)
    except (OSError, JournalError):
        return Accounts()  # a listing shows what there is; damage of the journal is for `journal verify` to report


def _marks(directory: Path) -> Mapping[str, MarkStatus]:
    try:
        answer = request(directory, ShowStatus(), timeout_s=_MARKS_S_MAX)
    except NoServer:
        return {}
    return msgspec.convert(answer.data, Status).marks if answer.is_ok else {}


def _row(line: PositionLine, accounts: Accounts, strategy: str, marks: Mapping[str, MarkStatus]) -> PositionRow:
    name = InstrumentId(line.instrument)
    known = accounts.positions
    position = known.of_strategy(strategy, name) if strategy else known.account(name)
    terms = accounts.instruments.get(name)
    if terms is None or format_scaled(position.size, terms.size_decimals) != line.size:
        values = ("", "", "", "")  # the ledger is behind, or the instrument has left the state
    else:
        values = _values(position, terms, marks.get(name, MarkStatus()))
    funding = f"{terms.money(position.funding):f}" if terms is not None and position.funding else ""
    return PositionRow(line.venue, line.instrument, line.size, line.fees, line.settled_value, *values, funding)


def _values(position: Position, terms: Instrument, mark: MarkStatus) -> tuple[str, str, str, str]:
    """Average, mark, unrealised and realised profit."""
    realised = f"{terms.money(position.realised):f}"
    if not position.size:
        return "", "", "", realised
    size, cost = to_decimal(position.size, terms.size_decimals), terms.money(position.cost)
    average = f"{cost / size:.{terms.price_decimals + _MORE_DECIMALS}f}"
    price, at = (mark.long, mark.long_at) if position.size > 0 else (mark.short, mark.short_at)
    if not price:
        return average, "", "", realised
    unrealised = f"{size * Decimal(price) - cost:f}"
    return average, price if at == "mid" else f"{price} ({at})", unrealised, realised
