"""The listings: what the ledger knows, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.domain.account_events import ExternalOrderIgnored, InstrumentDefined
from framework.domain.verdicts import RefusalCode, Refused
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.journal.restore import fold_record
from framework.persistence.ledger.ledger import Ledger
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import LEDGER_NAME
from framework.state.accounts import Accounts
from tests.support.command_line import Capsys
from tests.support.state_records import INSTRUMENT, VENUE, fill, listed, new

HOUR_NS = 3_600_000_000_000
SESSION: tuple[Body, ...] = (
    InstrumentDefined(INSTRUMENT, 1),
    new("c1"),
    new("c2", strategy="other"),
    fill(name="c1", at=HOUR_NS + 2_500_000),
    Refused(intent=new("c3").intent, code=RefusalCode.OFF_GRID, detail="price=50", check="OrderGrid", ts_ns=HOUR_NS),
    listed("", venue_order_id="v8"),
    listed("theirs", venue_order_id="v9", at=HOUR_NS),
    ExternalOrderIgnored(venue=VENUE, venue_order_id="v8", reason="mine", ts_recv=1),
)


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state directory whose ledger knows a session; the daemon is away."""
    ledger, accounts = Ledger.open(tmp_path / LEDGER_NAME, InlineWorker()), Accounts()
    for number, body in enumerate(SESSION, 1):
        ledger.apply(Entry(number, Record(number, HOUR_NS, number, body)))
        ledger.put_orders(fold_record(accounts, body, HOUR_NS))
    ledger.close()
    return str(tmp_path)


def shown(capsys: Capsys, *words: str) -> list[str]:
    assert main(list(words)) == 0
    return capsys.readouterr().out.splitlines()


def test_orders_when_listed_then_columns_are_aligned_and_the_newest_comes_first(state: str, capsys: Capsys) -> None:
    heading, second, first = shown(capsys, "orders", "--state-dir", state)
    assert (
        heading.split()
        == "created client order id strategy instrument side price size filled status reason kind".split()
    )
    assert (second.split()[1], first.split()[1]) == ("c2", "c1")
    assert heading.index("status") == second.index("recorded") == first.index("filled", first.index("10  ") + 4)


@pytest.mark.parametrize(
    ("words", "names"),
    [(["--strategy", "maker"], ["c1"]), (["--open"], ["c2"]), (["--limit", "1"], ["c2"]), ([], ["c2", "c1"])],
)
def test_orders_when_narrowed_then_only_those_are_listed(
    state: str, capsys: Capsys, words: list[str], names: list[str]
) -> None:
    lines = shown(capsys, "orders", "--json", "--state-dir", state, *words)
    assert [json.loads(line)["client_order_id"] for line in lines] == names


def test_fills_when_listed_then_time_and_part_are_in_words(state: str, capsys: Capsys) -> None:
    _, line = shown(capsys, "fills", "--state-dir", state)
    assert line.startswith("1970-01-01T01:00:00.002Z  maker")
    assert line.endswith("maker")
    assert "0.50" in line.split()


def test_positions_when_listed_then_they_are_exact(state: str, capsys: Capsys) -> None:
    lines = shown(capsys, "positions", "--json", "--state-dir", state)
    assert [json.loads(line)["size"] for line in lines] == ["10"]
    assert shown(capsys, "positions", "--strategy", "other", "--state-dir", state) == ["no positions"]


def test_refusals_when_listed_then_code_and_numbers_are_there(state: str, capsys: Capsys) -> None:
    _, line = shown(capsys, "refusals", "--state-dir", state)
    assert line.split()[-3:] == ["OFF_GRID", "OrderGrid", "price=50"]


@pytest.mark.parametrize("verb", ["external-orders", "orphans"])
def test_external_orders_when_listed_then_ignored_ones_are_left_out_unless_asked_for(
    state: str, capsys: Capsys, verb: str
) -> None:
    (only,) = shown(capsys, verb, "--json", "--state-dir", state)
    assert json.loads(only)["venue_order_id"] == "v9"
    both = shown(capsys, verb, "--ignored", "--json", "--state-dir", state)
    assert [json.loads(line)["ignored_for"] for line in both] == ["", "mine"]


@pytest.mark.parametrize("verb", ["orders", "fills", "positions", "refusals", "external-orders", "orphans"])
def test_listing_when_there_is_no_ledger_then_it_says_what_to_do(tmp_path: Path, capsys: Capsys, verb: str) -> None:
    assert main([verb, "--state-dir", str(tmp_path)]) == 1
    assert "start the daemon once or run `tidegate journal rebuild-ledger`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["orders", "fills", "positions", "refusals", "external-orders", "orphans"])
def test_listing_when_the_ledger_is_empty_then_it_says_so(tmp_path: Path, capsys: Capsys, verb: str) -> None:
    Ledger.open(tmp_path / LEDGER_NAME, InlineWorker()).close()
    assert shown(capsys, verb, "--state-dir", str(tmp_path)) == [f"no {verb.replace('-', ' ')}"]
    assert shown(capsys, verb, "--json", "--state-dir", str(tmp_path)) == []


def test_listing_when_the_ledger_missed_records_then_it_warns(tmp_path: Path, capsys: Capsys) -> None:
    ledger = Ledger.open(tmp_path / LEDGER_NAME, InlineWorker())
    ledger.apply(Entry(5, Record(5, 5, 5, SESSION[0])))
    ledger.close()
    assert main(["orders", "--state-dir", str(tmp_path)]) == 0
    assert "has not seen records 1 to 4" in capsys.readouterr().err


def write_journal(state: str, *, now_ns: int) -> None:
    """The session's journal with one record more than the ledger knows."""
    journal, _ = Journal.open(RealFiles(), Path(state) / "journal", start_writer=InlineWriter, worker=InlineWorker())
    for number, body in enumerate((*SESSION, fill(name="c2")), 1):
        journal.append(Record(number, now_ns, number, body))
    journal.close()


def test_listing_when_the_ledger_stands_still_then_it_says_what_is_not_shown(state: str, capsys: Capsys) -> None:
    write_journal(state, now_ns=HOUR_NS)
    assert main(["positions", "--state-dir", state]) == 0
    assert f"behind the journal: record {len(SESSION) + 1} of 1970-01-01T01:00:00.000Z" in capsys.readouterr().err


def test_listing_when_the_ledger_is_written_just_now_then_it_says_nothing(state: str, capsys: Capsys) -> None:
    write_journal(state, now_ns=SystemClock().now_ns())
    assert main(["positions", "--state-dir", state]) == 0
    assert capsys.readouterr().err == ""


def test_listing_when_no_directory_is_named_then_the_configuration_says_where(
    state: str, tmp_path: Path, capsys: Capsys
) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f'state_dir = "{state}"\n')
    lines = shown(capsys, "orders", "-c", "sandbox", "-c", str(file), "--json")
    assert len(lines) == 2


def test_listing_when_the_limit_is_no_number_of_rows_then_it_is_refused(state: str, capsys: Capsys) -> None:
    assert main(["orders", "--limit", "0", "--state-dir", state]) == 2
    assert "--limit: 0 is not a number of rows; give 1 or more" in capsys.readouterr().err
