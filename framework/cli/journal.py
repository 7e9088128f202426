"""`tidegate journal verify|dump|cut|rebuild-ledger`: to look at the journal, and the ways out when it is damaged."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from framework.cli.ledger import state_directory
from framework.cli.tables import print_json, print_lines, sizes_line, time_text
from framework.domain.errors import EXIT_FAILED, ConfigurationError, JournalError, suggestion
from framework.domain.events import kind_of
from framework.persistence.journal.records import Entry
from framework.persistence.journal.scan import read_entries
from framework.persistence.journal.verify import JournalReport, cut_after, cut_point, verify
from framework.persistence.ledger.reader import LedgerReader
from framework.persistence.ledger.rebuild import rebuild_ledger
from framework.persistence.ledger.schema import LedgerError
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, LEDGER_NAME, lock_state, part_bytes


def journal(options: argparse.Namespace) -> int:
    """Run one action on the journal: verify, dump, cut or rebuild-ledger; return the exit code.

    Raises `ConfigurationError` for an unknown action or options that don't fit it, `JournalError` when there is no
    journal or it can't be read or written, `StateInUse` when a daemon runs and the action changes something.
    """
    action = ACTIONS.get(options.action)
    if action is None:
        raise ConfigurationError(
            f'journal: there is no action "{options.action}"; {suggestion(options.action, ACTIONS)}'
        )
    directory = state_directory(options)
    if not (directory / JOURNAL_NAME).is_dir():
        raise JournalError(
            f"journal: there is no {directory / JOURNAL_NAME}; name the daemon's state directory: --state-dir DIR"
        )
    try:
        return action(options, directory)
    except BrokenPipeError:
        raise  # the reader of the output has gone: nothing is wrong with the disk
    except OSError as e:
        raise JournalError(f"journal: {directory} can't be read or written ({e}); check the disk and rights") from e


def _verify(options: argparse.Namespace, directory: Path) -> int:
    """Check every byte, and that the journal did not end later. 0: sound, `EXIT_FAILED`: damaged."""
    # The ledger is read first: read second, it could be ahead of the journal as read, while a daemon writes both.
    durable_mark = _durable_mark(directory / LEDGER_NAME)
    report = verify(RealFiles(), directory / JOURNAL_NAME, durable_mark=durable_mark)
    sizes = part_bytes(directory)
    if options.json:
        found = {"is_sound": report.is_sound, "last_number": report.last_number, "lines": report.lines()}
        print_json([found | {"part_bytes": sizes}])
        return 0 if report.is_sound else EXIT_FAILED
    print_lines([sizes_line(sizes), *report.lines()])
    if report.is_sound:
        return 0
    print_lines(_ways_out(directory, report))
    return EXIT_FAILED


def _durable_mark(path: Path) -> int:
    """The last record that the ledger saw durable; 0 where it does not say."""
    try:
        ledger = LedgerReader(path)
        try:
            return ledger.durable_mark
        finally:
            ledger.close()
    except LedgerError:
        return 0


def _ways_out(directory: Path, report: JournalReport) -> Iterator[str]:
    """What an operator can do about damage, the least harm first."""
    damaged = min((one.number for one in report.damages), default=0)
    yield ""
    yield "What to do, with the daemon stopped:"
    yield f"  1. Keep a copy: cp -a {directory} {directory}.damaged"
    yield "  2. Restore the damaged files from a backup, if there is one, and verify again."
    if damaged and (kept := cut_point(RealFiles(), directory / JOURNAL_NAME, damaged)):
        yield f"  3. Or drop record {damaged} and all after it: tidegate journal cut --after {kept}"
    elif damaged or report.hole:
        yield "  3. Or drop every record: tidegate journal cut --after 0, and move the ledger away."
    elif report.lost:
        yield "  3. Or start the daemon. It begins halted: orders, fills and halts of that time are not known here."
        yield "     What is open at the venues comes back from there: see tidegate reconcile and external-orders, and"
        yield "     let it trade again with tidegate resume --reason TEXT."
        return
    elif report.undecodable:
        yield "  3. Or start the version of the program that wrote it."
    else:
        yield "  3. A damaged snapshot is not used, and its file may be removed while the segments begin with record 1."
    yield "  4. Then: tidegate journal rebuild-ledger; tidegate reconcile --dry-run; and only then start the daemon,"
    yield "     which asks the venue for every order and fill, and halts what still differs."


def _dump(options: argparse.Namespace, directory: Path) -> int:
    """Print every record from the first one asked for."""
    for entry in read_entries(RealFiles(), directory / JOURNAL_NAME, first=options.first):
        if options.json:
            print_json([described(entry)])
        else:
            print_lines([_line(entry)])
    return 0


def described(entry: Entry) -> dict[str, Any]:
    """A record as one flat object: number, step, time and kind of the record, then the fields of its body.

    A field of the body that is called like one of the first four, as the `kind` of an `OrderReport`, becomes
    `body_kind`.
    """
    record = entry.record
    shown = {"number": entry.number, "step": record.step, "now_ns": record.now_ns, "kind": kind_of(record.body)}
    return shown | {f"body_{name}" if name in shown else name: field for name, field in plain(record.body).items()}


def plain(value: Any) -> Any:
    """A value in the types that JSON has: structs as objects with the names of their fields, enums as lower-case
    names."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(field) for name, field in msgspec.structs.asdict(value).items()}
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return value


def _line(entry: Entry) -> str:
    record = entry.record
    fields = plain(record.body)
    words = " ".join(f"{name}={_word(value)}" for name, value in fields.items() if value not in ("", None))
    return f"{entry.number}  {time_text(record.now_ns)}  step {record.step}  {kind_of(record.body)}  {words}"


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + " ".join(f"{name}={_word(one)}" for name, one in value.items()) + "}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = str(value)
    return repr(text) if " " in text and isinstance(value, str) else text


def _cut(options: argparse.Namespace, directory: Path) -> int:
    """Drop every record after the one named, once the operator has said yes; the old files stay under other names."""
    if options.after is None:
        raise ConfigurationError(
            "journal cut: name the last record to keep, as in --after 120, or 0 for none; `verify` says which"
        )
    with _stopped(directory):
        given_up = sum(1 for _ in read_entries(RealFiles(), directory / JOURNAL_NAME, first=options.after + 1))
        question = (
            f"give up every record after {options.after} in {directory / JOURNAL_NAME} ({given_up} of them readable)"
        )
        if not options.yes and not _is_confirmed(question):
            print_lines(["nothing was changed"])
            return EXIT_FAILED
        kept = cut_after(RealFiles(), directory / JOURNAL_NAME, options.after)
    left = f"the journal ends with record {options.after}" if options.after else "no record is left"
    ledger = "tidegate journal rebuild-ledger" if options.after else f"move {LEDGER_NAME} away"
    print_lines(
        [
            f"{left}; kept aside: {', '.join(path.name for path in kept)}",
            f"next: {ledger}, then tidegate reconcile --dry-run",
        ]
    )
    return 0


def _is_confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError(f"journal cut: this would {question}; say --yes if that is wanted")
    sys.stdout.write(f"This will {question}. Type yes: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip() == "yes"


def _rebuild_ledger(_options: argparse.Namespace, directory: Path) -> int:
    """Make the ledger anew from the journal."""
    with _stopped(directory):
        last = rebuild_ledger(RealFiles(), directory / JOURNAL_NAME, directory / LEDGER_NAME)
    print_lines([f"{directory / LEDGER_NAME} shows records up to {last}"])
    return 0


@contextmanager
def _stopped(directory: Path) -> Iterator[None]:
    """Hold the state directory, so that no daemon writes meanwhile. Raises `StateInUse` while one runs."""
    lock = lock_state(directory)
    try:
        yield
    finally:
        lock.close()


ACTIONS: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "verify": _verify,
    "dump": _dump,
    "cut": _cut,
    "rebuild-ledger": _rebuild_ledger,
}
