"""Cases: numbered functions, each with a sentence of what a connector must do, and what it needs of the venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from framework.testing.conformance.stage import Stage

Play: TypeAlias = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One case: `code` as in V06, the sentence that it proves, and the function that plays it."""

    code: str
    sentence: str
    play: Play

    @property
    def subject(self) -> int:
        """The tens of its code: cases of one subject stand together."""
        return int(self.code.removeprefix("V")) // 10


CASES: dict[str, Case] = {}
"""Every case by its code, in the order of the codes. `framework.testing.conformance.cases` fills it."""


def declare(code: str, sentence: str, play: Play) -> None:
    """Add a case. Raises `ValueError` for a code that is taken."""
    if code in CASES:
        raise ValueError(f"{code}: there is such a case already, {CASES[code].sentence!r}")
    CASES[code] = Case(code, sentence, play)


def case(play: Play) -> Play:
    """Declare a function as a case: `v06_an_order_is_accepted` is V06, "an order is accepted". Raises `ValueError` for
    a code that is taken."""
    code, _, sentence = play.__name__.partition("_")
    declare(code.upper(), sentence.replace("_", " "), play)
    return play
