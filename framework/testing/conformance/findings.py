"""What can come of a case, and how a case states what must hold."""

from __future__ import annotations

from enum import Enum


class NotOffered(Exception):
    """The venue does not have what the case is about, as its `VenueTerms` say."""


class NotStaged(Exception):
    """The sandbox can't bring about what the case is about. A failure, unless the venue's declaration says why."""


class Finding(Enum):
    """What came of a case."""

    PASS = "pass"  # noqa: S105 - no password
    NOT_OFFERED = "not offered"
    NOT_STAGED = "not staged"
    FAIL = "fail"


def expect(condition: object, what: str) -> None:
    """State that something holds. Raises `AssertionError` with `what` when it does not."""
    if not condition:
        raise AssertionError(what)
