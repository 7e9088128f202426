"""What version 0.1.0 has written is read by this version, and comes to the same: see tests/data/README.md."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeGuard

import msgspec
import pytest

from framework.cli.main import main
from framework.domain.account_events import Fill
from framework.domain.errors import ConfigurationError, JournalError
from framework.domain.orders import Order
from framework.domain.verdicts import Approved, RefusalCode, Refused
from framework.engine.replay import read_session
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry
from framework.persistence.journal.restore import fold, read_accounts
from framework.persistence.journal.scan import read_entries
from framework.persistence.journal.snapshots import snapshot_numbers
from framework.persistence.ledger.reader import LedgerReader, OrderLine
from framework.persistence.ledger.rebuild import rebuild_ledger
from framework.persistence.recovery import Records
from framework.persistence.tape import TapeSettings, read_tape
from framework.reconciliation.order_inquiry import unanswered_at_restart
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import refuse_other_account
from framework.state.accounts import Accounts
from tests.support.command_line import Capsys
from tests.support.runs import beginner
from tests.support.toy_session import CHECKS_OF_0_1_0, replayed

WRITTEN = Path(__file__).parents[1] / "data" / "state-0.1.0"
STATES = ("whole", "pruned")
NEW_NAMES = {"NONSENSE": "INVALID_INTENT"}
"""Names of refusal codes that are others now: as written in 0.1.0, as expected."""

ALL, STRIDE = 1_000_000, 20
Copy = Callable[[str], Path]


def expected(name: str) -> dict[str, Any]:
    """What version 0.1.0 made of a directory."""
    return dict(json.loads((WRITTEN / "expected.json").read_text())[name])


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A directory as it was written, to be worked on."""
    return lambda name: Path(shutil.copytree(WRITTEN / name, tmp_path / name, copy_function=shutil.copyfile))


def start(directory: Path) -> Records:
    """The records of one more run, as the daemon opens them."""
    return beginner(TapeSettings())(directory)


def code_of(name: str) -> str:
    """A refusal code's name of today."""
    return NEW_NAMES.get(name, name)


def described(directory: Path) -> dict[str, Any]:
    """What the journal of a directory and a start on it come to, in words that last. It starts a run there."""
    cold = read_accounts(RealFiles(), directory / "journal")
    entries = list(read_entries(RealFiles(), directory / "journal"))
    records = start(directory)
    try:
        return {
            "records": {"first": entries[0].number, "last": entries[-1].number, "count": len(entries)},
            "kinds": sorted_count(tag_of(entry.record.body) for entry in entries),
            "refusals": sorted_count(
                code_of(entry.record.body.code.name) for entry in entries if isinstance(entry.record.body, Refused)
            ),
            "taped": sorted_count(tag_of(one.event) for one in read_tape(RealFiles(), directory / "tape")),
            "at": states_at(directory / "journal", entries),
            "cold": {"digest": cold.digest(1), "trading": trading_of(cold)},
            "run": {
                "instance": records.instance,
                "epoch": records.epoch,
                "last_step": records.last_step,
                "snapshot": records.snapshot_number,
                "lost": records.lost,
            },
            **state_of(records.accounts),
        }
    finally:
        records.close()


def states_at(journal: Path, entries: list[Entry]) -> dict[str, list[object]]:
    """The state after every twentieth record that one can be made of: its digest, and what a restart would report."""
    first = entries[0].number
    begin = min((n for n in snapshot_numbers(RealFiles(), journal) if n >= first), default=first)
    states = {n: fold(RealFiles(), journal, last=n) for n in range(begin, entries[-1].number + 1, STRIDE)}
    return {str(n): [accounts.digest(1), unanswered_of(accounts)] for n, accounts in states.items()}


def unanswered_of(accounts: Accounts) -> list[list[str]]:
    """What a start would say of requests that were under way."""
    return [[one.client_order_id, one.kind.name] for one in unanswered_at_restart(accounts, 1)]


def state_of(accounts: Accounts) -> dict[str, Any]:
    """Orders, positions, money and the rest of one folded state."""
    return {
        "digest": accounts.digest(1),
        "orders": [order_of(known.order) for known in accounts.orders.snapshot().known],
        "doubts": unanswered_of(accounts),
        "positions": {
            name: [position.size, position.cost, position.realised, position.fees]
            for name, position in accounts.positions.accounts()
        },
        "strategies": {
            f"{strategy} {name}": [position.size, position.cost, position.realised, position.fees]
            for (strategy, name), position in accounts.positions.strategies()
        },
        "profit": sum(position.realised - position.fees for _, position in accounts.positions.accounts()),
        "fills": sorted(
            [one.fill.fill_id, one.client_order_id, one.strategy, one.fill.side.name, one.fill.price, one.fill.size]
            for one in accounts.fills.snapshot().fills
        ),
        "settled": dict(accounts.settlements),
        "balances": {f"{venue} {currency}": one.amount for (venue, currency), one in accounts.balances.items()},
        "venue_positions": {name: one.size for name, one in accounts.venue_positions.items()},
        "instruments": {name: one.status.name for name, one in accounts.instruments.items()},
        "trading": trading_of(accounts),
        "saved": {name: data.hex() for name, data in accounts.saved_states.items()},
        "orphans": [one.venue_order_id for one in accounts.external_orders("kalshi")],
        "ignored": [one.venue_order_id for one in accounts.external_orders("kalshi", ignored=True)],
    }


def order_of(order: Order) -> list[object]:
    """What is expected of an order."""
    names = (order.client_order_id, order.venue_order_id, order.strategy, order.instrument)
    words = (order.side.name, order.time_in_force.name, order.status.name, order.reason)
    return [*names, *words, order.price, order.size, order.filled, order.fees]


def trading_of(accounts: Accounts) -> list[list[str]]:
    """Every trading state that is set."""
    return [[row.scope.name, row.target, row.state.name, row.reason] for row in accounts.trading.rows()]


def tag_of(body: object) -> str:
    """The name under which a record is written, whatever its class is called."""
    assert isinstance(body, msgspec.Struct)
    return str(body.__struct_config__.tag)


def sorted_count(names: Iterable[str]) -> dict[str, int]:
    """How often each name comes."""
    return dict(sorted(Counter(names).items()))


def ledger_of(directory: Path) -> dict[str, list[list[object]]]:
    """Every row that the ledger shows, in an order of its own."""
    reader = LedgerReader(directory / "ledger.sqlite3")
    try:
        found: dict[str, list[Any]] = {
            "orders": reader.orders(limit=ALL),
            "fills": reader.fills(limit=ALL),
            "positions": reader.positions(),
            "refusals": [msgspec.structs.replace(row, code=code_of(row.code)) for row in reader.refusals(limit=ALL)],
            "orphans": reader.external_orders(ignored=True, limit=ALL),
        }
    finally:
        reader.close()
    return {kind: sorted([list(msgspec.structs.astuple(row)) for row in rows], key=str) for kind, rows in found.items()}


def undated(rows: dict[str, list[list[object]]]) -> dict[str, list[list[object]]]:
    """The same without when something last became known of an order: a start notes it of more than a rebuild does."""
    dated = OrderLine.__struct_fields__.index("updated_ns")
    return {**rows, "orders": [[*row[:dated], *row[dated + 1 :]] for row in rows["orders"]]}


def counts(rows: dict[str, list[list[object]]]) -> dict[str, int]:
    """How many rows of each kind there are."""
    return {kind: len(found) for kind, found in rows.items()}


def decisions_of(directory: Path) -> list[list[object]]:
    """The verdicts of a recorded session in words that last."""
    entries = read_session(RealFiles(), directory).entries
    return [decision(one.record.step, one.record.body) for one in entries if is_verdict(one.record.body)]


def is_verdict(body: object) -> bool:
    """Whether a record is a decision of the gate."""
    return isinstance(body, (Approved, Refused))


def decision(step: int, body: object) -> list[object]:
    """One verdict."""
    if isinstance(body, Refused):
        return [step, "Refused", code_of(body.code.name), body.detail, body.check]
    assert isinstance(body, Approved)
    return [step, "Approved", body.client_order_id, body.request_kind.name, ""]


def expected_decisions() -> list[list[object]]:
    """What was decided in the recorded session."""
    return [json.loads(line) for line in (WRITTEN / "decisions.jsonl").read_text().splitlines()]


def as_json(value: object) -> Any:
    """A value as it comes back from a file."""
    return json.loads(json.dumps(value))


def rewrite(directory: Path, change: Callable[[Body], Body | None]) -> int:
    """Write the journal again with the last record changed for which `change` gives another one; its number."""
    entries = list(read_entries(RealFiles(), directory / "journal"))
    changed = [(entry.number, new) for entry in entries if (new := change(entry.record.body)) is not None]
    number, body = changed[-1]
    for segment in (directory / "journal").glob("*.seg"):
        segment.unlink()
    journal, _ = Journal.open(RealFiles(), directory / "journal", start_writer=InlineWriter, worker=InlineWorker())
    for entry in entries:
        record = entry.record
        journal.append(msgspec.structs.replace(record, body=body) if entry.number == number else record)
    journal.close()
    return number


@pytest.mark.parametrize("name", STATES)
def test_state_when_written_by_0_1_0_then_it_starts_with_the_same_orders_positions_and_money(
    copy: Copy, name: str
) -> None:
    found = as_json(described(copy(name)))

    wanted = expected(name)["state"]
    assert {key: found[key] for key in found if found[key] != wanted.get(key)} == {}
    assert found.keys() == wanted.keys()


@pytest.mark.parametrize("name", STATES)
def test_journal_when_written_by_0_1_0_then_verify_and_dump_read_all_of_it(
    copy: Copy, name: str, capsys: Capsys
) -> None:
    directory = copy(name)

    assert main(["journal", "verify", "--state-dir", str(directory)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "sound"
    assert main(["journal", "dump", "--json", "--state-dir", str(directory)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == expected(name)["state"]["records"]["count"]


@pytest.mark.parametrize("name", STATES)
def test_accounts_when_written_by_0_1_0_then_the_journal_still_belongs_to_them_alone(copy: Copy, name: str) -> None:
    journal, bound = copy(name) / "journal", expected(name)["accounts"]

    assert refuse_other_account(RealFiles(), journal, "kalshi", bound["kalshi"]) == bound
    with pytest.raises(ConfigurationError, match="the records in"):
        refuse_other_account(RealFiles(), journal, "kalshi", "another one")


@pytest.mark.parametrize("name", STATES)
def test_ledger_when_written_by_0_1_0_then_a_start_goes_on_with_it(copy: Copy, name: str) -> None:
    directory = copy(name)
    before = ledger_of(directory)

    start(directory).close()

    after = ledger_of(directory)
    assert counts(after) == expected(name)["ledger"]
    assert [kind for kind in before if len(before[kind]) > len(after[kind])] == []
    assert not list(directory.glob("*.damaged*"))


def test_ledger_when_rebuilt_from_a_journal_of_0_1_0_then_it_has_the_same_rows(copy: Copy) -> None:
    directory = copy("whole")
    start(directory).close()
    kept = ledger_of(directory)

    rebuild_ledger(RealFiles(), directory / "journal", directory / "ledger.sqlite3")

    assert undated(ledger_of(directory)) == undated(kept)
    assert counts(kept) == expected("whole")["ledger"]


def test_ledger_when_rebuilt_from_a_snapshot_of_0_1_0_then_it_has_the_same_positions(copy: Copy) -> None:
    directory = copy("pruned")
    kept = ledger_of(directory)
    (directory / "ledger.sqlite3").unlink()

    rebuild_ledger(RealFiles(), directory / "journal", directory / "ledger.sqlite3")

    rebuilt = ledger_of(directory)
    assert rebuilt["positions"] == kept["positions"]
    assert counts(rebuilt) == expected("pruned")["rebuilt"]


def test_session_when_recorded_by_0_1_0_then_its_replay_decides_the_same(copy: Copy) -> None:
    directory, wanted = copy("session"), expected("session")

    result = replayed(directory, checks=CHECKS_OF_0_1_0)

    assert result.first_difference() is None
    assert result.is_same
    assert (result.fed, result.missing, len(result.decided)) == (wanted["fed"], 0, wanted["decisions"])
    assert result.accounts.digest(1) == wanted["digest"]
    assert as_json(decisions_of(directory)) == expected_decisions()
    assert "INVALID_INTENT" in {row[2] for row in expected_decisions()}


@pytest.mark.parametrize("name", STATES)
def test_state_when_one_bit_of_a_record_was_flipped_then_nothing_starts_from_it(copy: Copy, name: str) -> None:
    directory = copy(name)
    segment = sorted((directory / "journal").glob("*.seg"))[0]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)

    with pytest.raises(JournalError, match="is damaged"):
        start(directory)


def test_state_when_one_fill_was_another_one_then_the_comparison_sees_it(copy: Copy) -> None:
    directory = copy("whole")
    rewrite(directory, lambda body: msgspec.structs.replace(body, size=body.size + 1) if is_fill(body) else None)

    found, wanted = as_json(described(directory)), expected("whole")["state"]

    differing = {key for key in found if found[key] != wanted[key]}
    assert differing >= {"digest", "cold", "at", "positions", "strategies", "fills", "orders"}
    assert differing.isdisjoint({"records", "kinds", "refusals", "trading", "saved", "orphans"})


def test_session_when_one_refusal_was_another_one_then_the_comparison_sees_it(copy: Copy) -> None:
    directory = copy("session")
    rewrite(
        directory,
        lambda body: msgspec.structs.replace(body, code=RefusalCode.VENUE_DOWN) if isinstance(body, Refused) else None,
    )

    assert not replayed(directory, checks=CHECKS_OF_0_1_0).is_same
    differing = [pair for pair in zip(decisions_of(directory), expected_decisions(), strict=True) if pair[0] != pair[1]]
    assert len(differing) == 1


def is_fill(body: object) -> TypeGuard[Fill]:
    """Whether a record is a fill."""
    return isinstance(body, Fill)
