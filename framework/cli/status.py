"""`tidegate status`: how the daemon is; without one, how it ended and what its records say."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

from framework.cli.ledger import state_directory
from framework.cli.operator import request
from framework.cli.tables import print_json, print_lines, sizes_line, time_text
from framework.domain.errors import EXIT_FAILED
from framework.domain.operator_requests import ShowStatus
from framework.ops.status import QuestionedOrder, Status, cash_of, positions_of, trading_of
from framework.ops.status_reader import questioned
from framework.ops.status_view import (
    notes,
    quotes_table,
    readiness,
    strategies_table,
    totals,
    trading_line,
    venues_table,
)
from framework.persistence.journal.restore import read_accounts
from framework.persistence.journal.scan import read_entries, scan_journal
from framework.runtime.clock import SystemClock
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, part_bytes
from framework.runtime.unix_socket import NoServer
from framework.state.accounts import Accounts


def status(options: argparse.Namespace) -> int:
    """Print the status of the daemon of a state directory, or, when none answers, what its records say; returns 0, or
    `EXIT_FAILED` when the daemon that answers is of a version that can't say it.

    Raises `ConfigurationError` for a configuration that can't be used, `JournalError` when no daemon answers and the
    journal can't be read either.
    """
    directory = state_directory(options)
    try:
        answer = request(directory, ShowStatus())
    except NoServer as e:
        found = _from_records(directory, str(e).partition(";")[0])
    else:
        if not answer.is_ok:
            print_lines(f"tidegate: {line}" for line in answer.lines)
            return EXIT_FAILED
        found = msgspec.convert(answer.data, Status)
    part_sizes, free_bytes = part_bytes(directory), shutil.disk_usage(directory).free
    if options.json:
        print_json([msgspec.structs.asdict(found) | {"part_bytes": part_sizes, "disk_free_bytes": free_bytes}])
    else:
        console = Console(highlight=False)
        for part in _parts(found, console.width):
            console.print(part)
        console.print(Text(f"{sizes_line(part_sizes)}; free {free_bytes / 1e9:.1f} GB"))
    return 0


def _parts(found: Status, width: int) -> Iterator[RenderableType]:
    if found.ended:
        yield Text(found.ended, style="yellow")
    else:
        yield readiness(found)
    yield totals(found)
    yield from map(trading_line, found.trading)
    # Strategies have a table of their own here.
    yield from notes(msgspec.structs.replace(found, strategies=()))
    yield from map(_question_line, found.orders_in_question)
    if found.venues:
        yield venues_table(found.venues, width, wraps=True)
    if found.strategies:
        yield strategies_table(found.strategies, width)
    if found.quotes:
        yield quotes_table(found.quotes, width)
    yield Text("\n".join(f"position {one.size} {one.instrument}" for one in found.positions) or "no position")


def _question_line(one: QuestionedOrder) -> Text:
    return Text(
        f"order {one.client_order_id} of {one.strategy} on {one.instrument}: {one.what} for {one.age_ms / 1000:.1f} s"
    )


def _from_records(directory: Path, why: str) -> Status:
    """What the journal says of the last run."""
    accounts = read_accounts(RealFiles(), directory / JOURNAL_NAME)
    now_ns = SystemClock().now_ns()
    left = accounts.orders.open()
    return Status(
        ended=f"{why}. {_ending(directory, accounts)}",
        not_ready=(why,),
        trading=trading_of(accounts),
        orders_in_question=tuple(questioned(order, "open", max(0, now_ns - order.updated_ns)) for order in left),
        cash=cash_of(accounts),
        positions=positions_of(accounts),
        open_orders=len(left),
    )


def _ending(directory: Path, accounts: Accounts) -> str:
    """When and how the last run ended."""
    last = scan_journal(RealFiles(), directory / JOURNAL_NAME).last.first_number
    entry = next(iter(read_entries(RealFiles(), directory / JOURNAL_NAME, first=last)), None)
    at = time_text(entry.record.now_ns) if entry else "an unknown time"
    if accounts.trading.is_shutting_down:
        return f"The last run was stopped; its last record is of {at}."
    return f"The last run ended without a stop (killed, crashed, or the machine went down); its last record is of {at}."
