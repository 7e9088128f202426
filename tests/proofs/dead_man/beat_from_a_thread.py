"""The program with a heartbeat from a thread of its own: it goes on while the event loop does not."""

from __future__ import annotations

import sys
import threading
import time

from framework.__main__ import main
from framework.runtime.heartbeat import LoopHeartbeat

_write = LoopHeartbeat.beat


def _beat(self: LoopHeartbeat, monotonic_ns: int) -> None:
    if getattr(self, "_thread", None) is None:
        self._thread = threading.Thread(target=_go_on, args=(self,), daemon=True)  # type: ignore[attr-defined]
        self._thread.start()  # type: ignore[attr-defined]
    _write(self, monotonic_ns)


def _go_on(heartbeat: LoopHeartbeat) -> None:
    while True:
        _write(heartbeat, time.monotonic_ns())
        time.sleep(0.1)


if __name__ == "__main__":
    LoopHeartbeat.beat = _beat  # type: ignore[method-assign]
    sys.exit(main())
