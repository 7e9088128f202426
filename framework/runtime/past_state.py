"""The records of a world that is gone: an embedded sandbox begins anew with each daemon.

Orders, positions and fills of the last one exist nowhere any more, and the new one uses their names again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

PAST = "past"
RECORDS = ("journal", "tape", "ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm")


def set_aside(directory: Path) -> Path | None:
    """Move the records of the last run to `directory/past`, over those of the run before; where they are now, or None
    when there were none. The epoch stays: no client order id comes twice.

    Hold the directory's lock. May be interrupted and repeated. Raises `OSError`.
    """
    found = [directory / name for name in RECORDS if (directory / name).exists()]
    if not found:
        return None
    past = directory / PAST
    shutil.rmtree(past, ignore_errors=True)
    past.mkdir(mode=0o700)
    for path in found:
        path.rename(past / path.name)
    return past
