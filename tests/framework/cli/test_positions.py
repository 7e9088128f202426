"""The positions: size and fees of the ledger, average and realised profit of the journal, the daemon's marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.cli.main import main
from framework.domain.account_events import InstrumentDefined
from framework.domain.operator_requests import Answer
from framework.domain.orders import Side
from framework.ops.status import MarkStatus, Status
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.journal.restore import fold_record
from framework.persistence.ledger.ledger import Ledger
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, LEDGER_NAME
from framework.state.accounts import Accounts
from tests.framework.cli.test_operator import StandIn
from tests.support.command_line import Capsys
from tests.support.state_records import fill, kalshi_market, new

TERMS = kalshi_market("KXTIDE-A")


def traded(name: str, strategy: str, side: Side, *trades: tuple[int, int]) -> list[Body]:
    """An order and its fills: (price, size)."""
    approved = new(name, strategy=strategy, side=side, size=10_000)
    intent = msgspec.structs.replace(approved.intent, instrument=TERMS.id)
    ids = {"name": name, "venue_order_id": name, "instrument": TERMS.id}
    fills = [
        fill(f"{name}-{n}", side=side, price=price, size=size, fee=1_000, at=ord(name) * 10 + n, **ids)
        for n, (price, size) in enumerate(trades)
    ]
    return [msgspec.structs.replace(approved, venue=TERMS.venue, intent=intent), *fills]


def written(directory: Path, bodies: list[Body]) -> None:
    """A journal and the ledger of it."""
    files, accounts = RealFiles(), Accounts()
    journal, _ = Journal.open(files, directory / JOURNAL_NAME, start_writer=InlineWriter, worker=InlineWorker())
    ledger = Ledger.open(directory / LEDGER_NAME, InlineWorker())
    for number, body in enumerate([InstrumentDefined(TERMS, 1), *bodies], 1):
        record = Record(number, number, number, body)
        journal.append(record)
        ledger.apply(Entry(number, record))
        ledger.put_orders(fold_record(accounts, body, number))
    ledger.close()
    journal.close()


def shown(directory: Path, capsys: Capsys, *words: str) -> list[dict[str, Any]]:
    assert main(["positions", "--json", "--state-dir", str(directory), *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_positions_when_no_daemon_runs_then_average_and_realised_profit_are_the_journals(
    tmp_path: Path, capsys: Capsys
) -> None:
    written(
        tmp_path, [*traded("b", "a", Side.BUY, (5_000, 600), (6_000, 300)), *traded("s", "a", Side.SELL, (7_000, 300))]
    )
    (row,) = shown(tmp_path, capsys)
    assert {name: row[name] for name in ("size", "average", "mark", "unrealised", "realised", "fees")} == {
        "size": "6.00",
        "average": "0.533333",
        "mark": "",
        "unrealised": "",
        "realised": "0.500000",
        "fees": "0.003000",
    }


@pytest.mark.parametrize(
    ("strategy", "average", "mark", "unrealised"),
    [("long", "0.500000", "0.555", "0.550000"), ("short", "0.600000", "0.56 (ask)", "0.400000")],
)
def test_positions_when_a_daemon_answers_then_what_is_open_is_valued_by_its_books(
    tmp_path: Path, capsys: Capsys, strategy: str, average: str, mark: str, unrealised: str
) -> None:
    orders = [*traded("b", "long", Side.BUY, (5_000, 1_000)), *traded("s", "short", Side.SELL, (6_000, 1_000))]
    written(tmp_path, orders)
    marks = {TERMS.id: MarkStatus("0.555", "mid", "0.56", "ask")}
    with StandIn(tmp_path) as daemon:
        daemon.answer = Answer(is_ok=True, data=Status(marks=marks))
        (row,) = shown(tmp_path, capsys, "--strategy", strategy)
        (account,) = shown(tmp_path, capsys)
    assert (row["average"], row["mark"], row["unrealised"]) == (average, mark, unrealised)
    assert (account["size"], account["average"], account["unrealised"]) == ("0.00", "", "")


def test_positions_when_the_journal_says_something_else_than_the_ledger_then_only_the_ledgers_columns_are_filled(
    tmp_path: Path, capsys: Capsys
) -> None:
    written(tmp_path, traded("b", "a", Side.BUY, (5_000, 600)))
    for segment in (tmp_path / JOURNAL_NAME).iterdir():
        segment.unlink()
    (row,) = shown(tmp_path, capsys)
    assert (row["size"], row["average"], row["realised"]) == ("6.00", "", "")


def test_positions_when_people_read_them_then_unknown_values_are_dashes(tmp_path: Path, capsys: Capsys) -> None:
    written(tmp_path, traded("b", "a", Side.BUY, (5_000, 600)))
    assert main(["positions", "--state-dir", str(tmp_path)]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert (
        heading.split() == "venue instrument size average mark unrealised realised fees settled value funding".split()
    )
    assert line.split() == ["kalshi", "kalshi:KXTIDE-A", "6.00", "0.500000", "-", "-", "0.000000", "0.001000", "-", "-"]
