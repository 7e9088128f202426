"""A venue's dialect: one frozen struct with what differs between venues and between generations of one. Pure.

Each field says where its value comes from. What is assumed is listed before live use, because nobody has seen the
venue do it:

    class Dialect(msgspec.Struct, frozen=True):
        prefix: Annotated[str, FACT] = "/v1"
        separator: Annotated[str, Assumed("The parts of the signed text are joined by line breaks.")] = "\\n"
"""

from __future__ import annotations

from typing import get_type_hints

import msgspec


class Assumed(msgspec.Struct, frozen=True):
    """The value is an assumption; `sentence` states it so that it stands alone."""

    sentence: str


FACT = "fact"
"""The value is documented by the vendor or was recorded."""


def assumptions_of(dialect: type) -> tuple[str, ...]:
    """The sentences of a dialect's assumed fields, in their order: for `Connector.assumptions`.

    Raises `ValueError` for a field that is marked neither `FACT` nor `Assumed`: a value without a source is a guess.
    """
    sentences: list[str] = []
    for name, hint in get_type_hints(dialect, include_extras=True).items():
        marks = getattr(hint, "__metadata__", ())
        found = [mark.sentence for mark in marks if isinstance(mark, Assumed)]
        if not found and FACT not in marks:
            raise ValueError(f"{dialect.__name__}.{name}: is marked neither FACT nor Assumed")
        sentences += found
    return tuple(sentences)


class OrderStates(msgspec.Struct, frozen=True):
    """A venue's words for the state of an order.

    `open`: it may trade. `cancelling`: its cancel was received, and it may still trade. `ended`: it can't trade.
    """

    open: frozenset[str]
    ended: frozenset[str]
    cancelling: frozenset[str] = frozenset()

    def is_open(self, status: str, remaining: int) -> bool:
        """Whether an order may still trade. One whose word is not documented may, while anything of it remains: its
        exposure is kept."""
        if status in self.ended:
            return False
        return status in self.open or status in self.cancelling or remaining > 0

    def is_cancelling(self, status: str) -> bool:
        """Whether the venue has received a cancel and not carried it out: it is not asked again."""
        return status in self.cancelling
