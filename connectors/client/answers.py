"""How an answer of a venue can fail to say what was asked."""

from __future__ import annotations

from framework.domain.errors import Retryable


class UnreadableAnswer(Retryable):
    """A whole answer that is well-formed and not of the expected form: the same request brings the same again."""


class UnusableInstrument(ValueError):
    """An instrument that can't be traded safely as it is listed. The message names it and the field."""
