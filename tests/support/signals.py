"""The signals that a child process inherits as ignored, whatever ignores them here (`nohup` does)."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that ask the daemon to stop."""


@contextmanager
def inherited(ignored: Sequence[signal.Signals] = ()) -> Iterator[None]:
    """Start a process in this `with`: of `STOPS` it ignores `ignored` from its start, and no other."""
    handlers = {number: signal.SIG_IGN if number in ignored else signal.SIG_DFL for number in STOPS}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
