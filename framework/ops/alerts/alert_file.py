"""The file of alerts: what holds, and who has acknowledged it, over restarts and crashes.

A file and no record of the journal: an acknowledgement changes neither orders nor money, a replay must not depend on
it, and it has to be written when the journal can't be.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from framework.domain.plausibility import UNREADABLE
from framework.ops.alerts.alert import Alert
from framework.runtime.files import FileSystem, write_atomically
from framework.runtime.state_directory import ALERTS_NAME


class AlertsKept(msgspec.Struct, frozen=True):
    """The content of the file. Written as JSON."""

    alerts: tuple[Alert, ...] = ()


class AlertFile:
    """The file of one state directory. Hold the directory's lock to write."""

    def __init__(self, files: FileSystem, directory: Path) -> None:
        self._files = files
        self._path = directory / ALERTS_NAME

    def read(self) -> tuple[tuple[Alert, ...], str]:
        """What was written last, and why nothing could be read, empty when all was well or nothing was ever written:
        then all alerts begin anew."""
        try:
            if not self._files.exists(self._path):
                return (), ""
            return msgspec.json.decode(self._files.read(self._path), type=AlertsKept).alerts, ""
        except (OSError, *UNREADABLE) as e:
            return (), f"{self._path} can't be read ({e}): who acknowledged which alert is not known any more"

    def write(self, alerts: Sequence[Alert]) -> None:
        """Put these in the place of what was there, durably. Blocks; raises `OSError`."""
        write_atomically(self._files, self._path, msgspec.json.encode(AlertsKept(tuple(alerts))) + b"\n")
