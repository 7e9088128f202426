"""The records of a world that is gone: an embedded sandbox begins anew with each daemon.

Orders, positions and fills of the last one exist nowhere any more, and the new one uses their names again. A mark
beside the journal's segments tells such records from those of a venue's account, which are never moved away nor
continued with a sandbox's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from framework.domain.errors import ConfigurationError, Fatal
from framework.runtime.files import RealFiles, write_atomically

PAST = "past"
RECORDS = ("journal", "tape", "ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm")
_JOURNAL = RECORDS[0]
_MARK = "of-an-embedded-sandbox"
_REMEDY = "give each a folder of its own: --state-dir DIR, or state_dir in the configuration"


def set_aside(directory: Path) -> Path | None:
    """Move the records of the last sandbox to `directory/past`, over those of the one before, and begin a journal that
    is marked as a sandbox's; where they are now, or None when there were none. The epoch stays: no client order id
    comes twice.

    Hold the directory's lock. May be interrupted and repeated. Raises `ConfigurationError`, with nothing touched, when
    the records are a venue account's, and `Fatal` when the disk refuses something.
    """
    try:
        return _set_aside(directory)
    except OSError as e:
        raise Fatal(f"state_dir: {directory} can't be read or written ({e}); check the disk and rights") from e


def _set_aside(directory: Path) -> Path | None:
    journal, past = directory / _JOURNAL, directory / PAST
    if _holds_records(journal) and not _is_marked(journal):
        raise ConfigurationError(
            f"state_dir: {directory} holds the records of a venue's account, and every venue here is an embedded "
            f"sandbox, which begins anew; {_REMEDY}"
        )
    found = [directory / name for name in RECORDS if (directory / name).exists()]
    if journal.exists():
        # Not there: it was moved already when the last call was interrupted, and lies in the past.
        shutil.rmtree(past, ignore_errors=True)
    for path in found:
        past.mkdir(mode=0o700, exist_ok=True)
        path.rename(past / path.name)
    files = RealFiles()
    files.make_directory(journal)
    write_atomically(files, journal / _MARK, b"")
    return past if found else None


def refuse_sandbox_records(directory: Path) -> None:
    """Raise `ConfigurationError` when the records are an embedded sandbox's: a venue's account does not go on from
    orders and positions that it never had."""
    if _holds_records(directory / _JOURNAL) and _is_marked(directory / _JOURNAL):
        raise ConfigurationError(
            f"state_dir: {directory} holds the records of an embedded sandbox, whose orders and positions exist at no "
            f"venue; {_REMEDY}"
        )


def _holds_records(journal: Path) -> bool:
    return journal.is_dir() and any(path.name != _MARK and path.suffix != ".tmp" for path in journal.iterdir())


def _is_marked(journal: Path) -> bool:
    return (journal / _MARK).exists()
