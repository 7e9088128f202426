"""The journal's verbs, and the ways out of damage that they print, followed to their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.cli.journal import described
from framework.cli.main import main
from framework.domain.account_events import CancelRequested, InstrumentDefined, ReportKind, StrategySaved
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry, EpochTaken, Record, SnapshotTaken
from framework.persistence.journal.segments import HEADER_SIZE
from framework.persistence.journal.verify import cut_after
from framework.persistence.ledger.ledger import Ledger
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import lock_state
from tests.support.command_line import Capsys
from tests.support.state_records import INSTRUMENT, VENUE, fill, new, report

BODIES: tuple[Body, ...] = (
    EpochTaken(1, "tg7f3a91", "", "0.1.0", 1),
    InstrumentDefined(INSTRUMENT, 1),
    new("c1"),
    fill(name="c1"),
    CancelRequested(venue=VENUE, client_order_id="c1", reason="by the operator", ts_recv=1),
    StrategySaved("maker", b"\x00\x01", 1),
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a journal of six records; the daemon is away."""
    journal, _ = Journal.open(RealFiles(), tmp_path / "journal", start_writer=InlineWriter, worker=InlineWorker())
    for number, body in enumerate(BODIES, 1):
        journal.append(Record(number, 3_600_000_000_000, number, body))
    journal.close()
    return tmp_path


def damage(state: Path, number: int) -> None:
    """Flip a bit of a record in the middle."""
    (segment,) = (state / "journal").glob("*.seg*")
    data = bytearray(segment.read_bytes())
    data[len(data) * number // (len(BODIES) + 1)] ^= 1
    segment.write_bytes(data)


def shown(capsys: Capsys, state: Path, *words: str, code: int = 0) -> list[str]:
    assert main(["journal", *words, "--state-dir", str(state)]) == code
    return capsys.readouterr().out.splitlines()


def test_verify_when_the_journal_is_sound_then_it_says_so(state: Path, capsys: Capsys) -> None:
    lines = shown(capsys, state, "verify")
    assert lines[1:] == ["1 segments, records 1 to 6", "snapshots after records: none", "sound"]
    (line,) = shown(capsys, state, "verify", "--json")
    assert json.loads(line)["is_sound"] is True


def test_verify_when_asked_then_it_says_what_each_part_takes_on_the_disk(state: Path, capsys: Capsys) -> None:
    (state / "log.jsonl").write_bytes(b"x" * 1_200_000)
    (state / "log.jsonl.1").write_bytes(b"x" * 2_000_000)
    (state / "past" / "tape").mkdir(parents=True)
    (state / "past" / "tape" / "one").write_bytes(b"x" * 400_000)
    line = "on disk: journal 0.0 MB, tape 0.0 MB, ledger 0.0 MB, log 3.2 MB, past 0.4 MB"
    assert shown(capsys, state, "verify")[0] == line
    (row,) = shown(capsys, state, "verify", "--json")
    sizes = json.loads(row)["part_bytes"]
    assert sizes["log"] == 3_200_000
    assert sizes["journal"] == sum(path.stat().st_size for path in (state / "journal").iterdir())


def test_verify_when_a_daemon_holds_the_directory_then_it_reads_all_the_same(state: Path, capsys: Capsys) -> None:
    lock = lock_state(state)
    assert shown(capsys, state, "verify")[-1] == "sound"
    lock.close()


def test_verify_when_a_record_is_damaged_then_it_fails_and_tells_the_ways_out(state: Path, capsys: Capsys) -> None:
    damage(state, 4)
    text = "\n".join(shown(capsys, state, "verify", code=1))
    assert "DAMAGE" in text
    assert "NOT sound" in text
    assert f"cp -a {state} {state}.damaged" in text
    assert "tidegate journal cut --after " in text
    (line,) = shown(capsys, state, "verify", "--json", code=1)
    assert json.loads(line)["is_sound"] is False


def test_damage_when_the_printed_way_out_is_followed_then_the_journal_is_sound_again(
    state: Path, capsys: Capsys
) -> None:
    damage(state, 4)
    (advice,) = [line for line in shown(capsys, state, "verify", code=1) if "journal cut" in line]
    last = advice.rpartition("--after ")[2]
    assert 1 <= int(last) < 6

    lines = shown(capsys, state, "cut", "--after", last, "--yes")

    assert lines[0].startswith(f"the journal ends with record {last}; kept aside: ")
    assert shown(capsys, state, "verify")[-1] == "sound"
    assert f"shows records up to {last}" in shown(capsys, state, "rebuild-ledger")[0]
    assert len(shown(capsys, state, "dump")) == int(last)


def test_damage_when_it_is_in_the_first_record_then_the_printed_way_out_gives_up_all(
    state: Path, capsys: Capsys
) -> None:
    (segment,) = (state / "journal").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[HEADER_SIZE + 20] ^= 1
    segment.write_bytes(data)
    (advice,) = [line for line in shown(capsys, state, "verify", code=1) if "journal cut" in line]
    assert "--after 0" in advice

    lines = shown(capsys, state, "cut", "--after", "0", "--yes")

    assert lines[0] == f"no record is left; kept aside: {segment.name}.removed"
    assert shown(capsys, state, "verify")[-1] == "sound"


def test_verify_when_the_ledger_saw_later_records_durable_then_it_names_them_and_the_way_on(
    state: Path, capsys: Capsys
) -> None:
    ledger = Ledger.open(state / "ledger.sqlite3", InlineWorker())
    ledger.mark_durable(6)
    ledger.close()
    assert shown(capsys, state, "verify")[-1] == "sound"
    cut_after(RealFiles(), state / "journal", 4)

    text = "\n".join(shown(capsys, state, "verify", code=1))

    assert "DAMAGE: records 5 to 6 were durable and are gone from the journal's end" in text
    assert "NOT sound" in text
    assert "tidegate resume --reason TEXT" in text
    assert "rebuild-ledger" not in text
    (line,) = shown(capsys, state, "verify", "--json", code=1)
    assert json.loads(line)["is_sound"] is False


def test_cut_when_it_is_asked_for_again_then_what_was_given_up_before_stays(state: Path, capsys: Capsys) -> None:
    (segment,) = (state / "journal").glob("*.seg")
    whole = segment.read_bytes()
    shown(capsys, state, "cut", "--after", "5", "--yes")
    shorter = segment.read_bytes()

    lines = shown(capsys, state, "cut", "--after", "3", "--yes")
    assert lines[0].endswith(f"kept aside: {segment.name}.removed-2")
    assert [segment.with_name(segment.name + end).read_bytes() for end in (".removed", ".removed-2")] == [
        whole,
        shorter,
    ]

    lines = shown(capsys, state, "cut", "--after", "0", "--yes")
    assert lines[0].endswith(f"kept aside: {segment.name}.removed-3")
    assert segment.with_name(segment.name + ".removed").read_bytes() == whole


def test_dump_when_asked_then_each_record_is_a_line_with_names(state: Path, capsys: Capsys) -> None:
    lines = shown(capsys, state, "dump")
    assert len(lines) == 6
    assert lines[2].startswith(
        "3  1970-01-01T01:00:00.000Z  step 3  Approved  intent={strategy=maker instrument=tide:A"
    )
    assert lines[4].endswith("CancelRequested  venue=tide client_order_id=c1 reason='by the operator' ts_recv=1")
    assert lines[5].endswith("StrategySaved  strategy=maker state=<2 bytes> ts_recv=1")


def test_dump_when_asked_as_json_then_fields_have_names(state: Path, capsys: Capsys) -> None:
    rows = [json.loads(line) for line in shown(capsys, state, "dump", "--first", "3", "--json")]
    assert [(row["number"], row["kind"]) for row in rows] == [
        (3, "Approved"),
        (4, "Fill"),
        (5, "CancelRequested"),
        (6, "StrategySaved"),
    ]
    assert rows[0]["intent"]["side"] == "buy"
    assert (rows[1]["fill_id"], rows[1]["side"]) == ("f1", "buy")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (report(ReportKind.ACCEPTED), {"number": 1, "kind": "OrderReport", "body_kind": "accepted"}),
        (SnapshotTaken(7, "d"), {"number": 1, "kind": "SnapshotTaken", "body_number": 7}),
    ],
    ids=["report", "snapshot"],
)
def test_dump_when_a_field_is_called_like_a_part_of_the_record_then_both_are_shown(
    body: Body, shown: dict[str, Any]
) -> None:
    assert shown.items() <= described(Entry(1, Record(1, 2, 3, body))).items()


def test_dump_when_a_class_has_another_name_than_its_tag_then_the_tag_is_the_kind() -> None:
    class Renamed(msgspec.Struct, tag="Checkpoint", array_like=True):
        digest: str

    body: Any = Renamed("d")
    assert described(Entry(1, Record(1, 2, 3, body)))["kind"] == "Checkpoint"


def test_rebuild_when_asked_then_the_ledger_shows_the_journal(state: Path, capsys: Capsys) -> None:
    assert "shows records up to 6" in shown(capsys, state, "rebuild-ledger")[0]
    assert main(["fills", "--json", "--state-dir", str(state)]) == 0
    assert json.loads(capsys.readouterr().out)["fill_id"] == "f1"


@pytest.mark.parametrize("words", [["rebuild-ledger"], ["cut", "--after", "3", "--yes"]])
def test_change_when_a_daemon_holds_the_directory_then_it_is_refused_and_nothing_changes(
    state: Path, capsys: Capsys, words: list[str]
) -> None:
    lock = lock_state(state)
    assert main(["journal", *words, "--state-dir", str(state)]) == 1
    assert "is in use by process" in capsys.readouterr().err
    lock.close()
    assert len(shown(capsys, state, "dump")) == 6
    assert not (state / "ledger.sqlite3").exists()


def test_cut_when_nobody_says_yes_then_nothing_changes(state: Path, capsys: Capsys) -> None:
    assert main(["journal", "cut", "--after", "3", "--state-dir", str(state)]) == 2
    assert "give up every record after 3" in capsys.readouterr().err
    assert len(shown(capsys, state, "dump")) == 6


@pytest.mark.parametrize(("answer", "left"), [("yes\n", 3), ("no\n", 6), ("", 6)])
def test_cut_when_a_person_is_asked_then_only_yes_counts(
    state: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    class Person:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answer

    monkeypatch.setattr("sys.stdin", Person())
    main(["journal", "cut", "--after", "3", "--state-dir", str(state)])
    assert "(3 of them readable)" in capsys.readouterr().out
    assert len(shown(capsys, state, "dump")) == left


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["verfy"], 'there is no action "verfy"; did you mean "verify"?', 2),
        (["cut", "--yes"], "name the last record to keep", 2),
        (["cut", "--after", "77", "--yes"], "record 77 can't be read", 1),
    ],
)
def test_journal_when_it_can_not_be_done_then_it_says_why(
    state: Path, capsys: Capsys, words: list[str], message: str, code: int
) -> None:
    assert main(["journal", *words, "--state-dir", str(state)]) == code
    assert message in capsys.readouterr().err
    assert len(shown(capsys, state, "dump")) == 6


@pytest.mark.parametrize("action", ["verify", "dump", "cut", "rebuild-ledger"])
def test_journal_when_there_is_none_then_it_says_where_it_looked_and_makes_nothing(
    tmp_path: Path, capsys: Capsys, action: str
) -> None:
    assert main(["journal", action, "--after", "1", "--yes", "--state-dir", str(tmp_path / "nowhere")]) == 1
    assert "nowhere/journal; name the daemon's state directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
