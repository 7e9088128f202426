"""The error tree, the exit codes, and the suggestion that an error about a misspelt word ends with.

What an error *is* decides what happens next; errors of other libraries are mapped to this tree where they are caught.
This file imports the standard library only: `tidegate --help` loads it and must stay quick.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_FAILED = 1
"""A part failed while running, or the answer is no: the journal is damaged, the venues differ, a request is refused."""

EXIT_USAGE = 2
"""Nothing was started: the command line, the configuration or a plugin can't be used."""

EXIT_ORDERS_LEFT = 3
"""The daemon stopped, but orders may be open at a venue; the log lists them."""

EXIT_NOT_SUPPORTED = 4
"""The venue has no such thing: keys can't be made, or funds moved, by its API."""

EXIT_INTERRUPTED = 130
"""Interrupted: Ctrl-C in a command, or a second signal to a daemon, which then waits for nothing (128 + SIGINT)."""

EXIT_PIPE_CLOSED = 141
"""The reader of a command's output has gone, as `head` does: what a shell shows of git or cat then (128 + SIGPIPE)."""

CLOSENESS_MIN = 0.6
"""How like a known word must be to stand in place of the list of all, as a ratio of `difflib`."""

_HINT_CLOSENESS_MIN = 0.5
"""As much, to be named beside other help: half of a verb is enough, as in `tidegate check` for `check-config`."""


_BEGINNING_MIN = 3
"""Shortest beginning that stands for a whole word, in characters."""


class TidegateError(Exception):
    """Root of every error that Tidegate raises on purpose."""


class Retryable(TidegateError):
    """Proved not to have taken effect: may be tried again with a fresh signature, within its deadline.

    `after_ms` is how long the venue asks to wait (0 = it did not say). `was_answered` is False when nothing reached
    the venue, and True when its own answer is the proof: then it may have charged for the request, and `code` is the
    venue's error code (empty when it gave none). A rate limit is always an answer.
    """

    def __init__(
        self,
        message: str,
        *,
        after_ms: int = 0,
        is_rate_limit: bool = False,
        was_answered: bool = False,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.after_ms = after_ms
        self.is_rate_limit = is_rate_limit
        self.was_answered = was_answered or is_rate_limit
        self.code = code


class RefusedByVenue(TidegateError):
    """The venue refused. Not tried again; `code` is the venue's own, `message` what it says besides, and `status` that
    of HTTP (0 = there was none)."""

    def __init__(self, code: str, message: str = "", *, status: int = 0) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status


class OutcomeUnknown(TidegateError):
    """The request may or may not have taken effect. Never repeated blindly: the order stays UNKNOWN until the venue
    shows what became of it."""


class AccountRefused(TidegateError):
    """The venue does not accept this account: its key is refused, or it may not trade. The venue is halted and asked
    again each minute; the others go on."""


class NotSupported(TidegateError):
    """The venue does not have what was asked for at all. The message says what it has instead."""


class Fatal(TidegateError):
    """The daemon can't go on safely: it stops entering orders, cancels what it can and exits."""


class ConfigurationError(Fatal):
    """The configuration can't be used. The message names the key, the value and the remedy."""


class PluginError(ConfigurationError):
    """A plugin does not load. The message names file, line and reason."""


class JournalError(Fatal):
    """The journal can't be written or read. No order leaves any more."""


def describe_error(error: BaseException) -> str:
    """An exception in one line: type, message, and file and line of the code that raised it. Never raises."""
    place = raised_at(error)
    return f"{type(error).__name__}: {' '.join(message_of(error).split())}{f' at {place}' if place else ''}"


def message_of(error: BaseException) -> str:
    """The message of an exception that may be a plugin's own: reading it runs the plugin's code. Never raises."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - what can't be read is left out
        return "(its message can't be read)"


def raised_at(error: BaseException) -> str:
    """`FILE:LINE` of the code that raised an exception; empty for one that was never raised."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return "" if found is None else f"{found.tb_frame.f_code.co_filename}:{found.tb_lineno}"


def closest(word: str, known: Iterable[str], *, closeness_min: float = CLOSENESS_MIN) -> str:
    """The known word that begins with `word`, else the one most like it, or an empty string when none is like it.

    `closeness_min` is a ratio of `difflib`: from 0 (nothing in common is needed) to 1 (only the same word counts).
    """
    words = list(known)
    begun = [one for one in words if len(word) >= _BEGINNING_MIN and one.startswith(word)]
    return next(iter(begun or difflib.get_close_matches(word, words, n=1, cutoff=closeness_min)), "")


def hint(word: str, known: Iterable[str], *, closeness_min: float = _HINT_CLOSENESS_MIN) -> str:
    """`; did you mean "x"?`, to be put after what is wrong, or an empty string when no known word is like `word`."""
    found = closest(word, known, closeness_min=closeness_min)
    return f'; did you mean "{found}"?' if found else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean "x"?`, or the known words in alphabetical order when none is like `word`."""
    words = sorted(known)
    listed = f"known: {', '.join(words)}" if words else "none is known here"
    return hint(word, words, closeness_min=CLOSENESS_MIN).removeprefix("; ") or listed
