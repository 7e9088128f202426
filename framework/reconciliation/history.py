"""The history of reconciliation: a file with a JSON line for each pass that found something new.

A pass that finds what the pass before it found is left out: an external order that stays for a week is two lines, not
forty thousand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from framework.domain.ports import Clock
from framework.reconciliation.differences import Difference
from framework.runtime.files import FileSystem

FILE_BYTES_MAX = 4 * 1024 * 1024
"""A file longer than this is renamed to `….1`, in the place of the one before, and a new one is begun."""


class PassFound(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file: when the pass was (wall nanoseconds), and all that did not agree, empty when all agreed."""

    ts_ns: int
    venue: str
    differences: tuple[dict[str, Any], ...]


class ReconcileHistory:
    """Keeps the history file for all venues. Trading does not need it: a write error is returned as text."""

    def __init__(self, files: FileSystem, path: Path, clock: Clock) -> None:
        self._files = files
        self._path = path
        self._clock = clock
        self._last: dict[str, frozenset[tuple[str, ...]]] = {}

    def add(self, venue: str, differences: tuple[Difference, ...]) -> tuple[tuple[Difference, ...], str]:
        """Take in what a pass found. Returns the differences that the venue's last pass had not found, and why the file
        could not be written, '' when it was or need not be."""
        before, now = self._last.get(venue, frozenset()), frozenset(one.key for one in differences)
        if before == now:
            return (), ""
        self._last[venue] = now
        now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        fields = tuple(one.fields(now_ns=now_ns, monotonic_ns=monotonic_ns) for one in differences)
        found = PassFound(ts_ns=now_ns, venue=venue, differences=fields)
        return tuple(one for one in differences if one.key not in before), self._write(found)

    def _write(self, found: PassFound) -> str:
        try:
            handle = self._files.open_append(self._path)
            try:
                handle.write(msgspec.json.encode(found) + b"\n")
                is_full = handle.size() > FILE_BYTES_MAX
            finally:
                handle.close()
            if is_full:
                self._files.rename(self._path, self._path.with_name(self._path.name + ".1"))
        except OSError as e:
            return f"{self._path} can't be written: {e}"
        return ""
