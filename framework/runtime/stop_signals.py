"""The signals that ask this process to stop, taken from its first moment on.

A signal that comes while the configuration is read or the journal replayed is kept until the supervisor asks for it. As
the first process of a container this one gets no signal that it has no handler for, so each millisecond without counts:
this file is loaded before all others and imports next to nothing. The handlers never raise: nothing is interrupted in
the middle of a hook.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class StopSignals:
    """What was asked of this process by signals. Call order: `install`, `follow`. One per process.

    The first signal asks for an orderly stop; the second SIGTERM, SIGINT or SIGQUIT ends the process at once.
    SIGHUP only ever asks and is not counted: a terminal that closes sends it twice, and whoever closes it may send
    SIGTERM next.
    """

    def __init__(self) -> None:
        self._reason = ""
        self._counted = 0
        self._on_stop: Callable[[str], object] | None = None
        self._last_words: Callable[[], str] = str

    def install(self) -> None:
        """Take the signals from here on. A SIGHUP that was ignored before stays so, as `nohup` wants it. Only in the
        main thread; a second call changes nothing."""
        for number in _SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def follow(self, on_stop: Callable[[str], object], last_words: Callable[[], str]) -> None:
        """Have `on_stop` called with the reason of the first signal, at once when it has come already, and what
        `last_words` returns written to standard error before a second one ends the process.

        Both are called between any two instructions of the main thread: they must be quick and change nothing there.
        """
        self._on_stop, self._last_words = on_stop, last_words
        if self._reason:
            on_stop(self._reason)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._counted += number != signal.SIGHUP
        if not self._reason:
            self._reason = f"{signal.Signals(number).name} received"
            if self._on_stop is not None:
                self._on_stop(self._reason)
        elif number != signal.SIGHUP and self._counted > 1:
            self._end_at_once()

    def _end_at_once(self) -> None:
        """An ordinary exit would run through the loop and the threads that may be what is stuck."""
        try:
            if self._counted == 2:  # a third one finds these words under way or said
                os.write(2, self._last_words().encode())
        finally:
            os._exit(128 + signal.SIGINT)
