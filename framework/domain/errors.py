"""The error tree. What an error *is* decides what happens next; foreign errors are mapped to it at the edge."""

from __future__ import annotations


class TidegateError(Exception):
    """Root of every error that Tidegate raises on purpose."""


class Retryable(TidegateError):
    """Proved not to have taken effect: may be tried again with a fresh signature, within its deadline.

    `after_ms` is how long the venue asks to wait (0 = it did not say). `was_answered` is False when nothing reached
    the venue, and True when its own answer is the proof: then it may have charged for the request, and `code` is its
    word (empty when it gave none). A rate limit is always an answer.
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
    """The venue answered no. Not tried again; `code` is the venue's own."""

    def __init__(self, code: str, message: str = "", *, status: int = 0) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.status = status


class OutcomeUnknown(TidegateError):
    """The request may or may not have taken effect. Never repeated blindly; only venue evidence ends it."""


class Fatal(TidegateError):
    """The daemon can't go on safely: it stops entering orders, cancels what it can and exits."""


class ConfigurationError(Fatal):
    """The configuration can't be used. The message names the key, the value and the remedy."""


class PluginError(ConfigurationError):
    """A plugin does not load. The message names file, line and reason."""


class JournalError(Fatal):
    """The journal can't be written or read. No order leaves any more."""
