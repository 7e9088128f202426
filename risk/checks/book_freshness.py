"""No order on a book that may be wrong (C4)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView

_REMEDY = "wait until book.is_fresh"


class BookFreshness(BaseModel):
    """C4: the book is there, complete since its snapshot, not crossed, and not older than `age_ms_max`.

    A side may be empty: then only the other one can be traded with, and that is visible.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    asked_again: ClassVar[str] = "when it grows"

    age_ms_max: int = Field(
        gt=0, description="Oldest proof that the book is current, in milliseconds, by receipt and by venue time."
    )

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with BOOK_NOT_FRESH and the reason: no book, stale, crossed, or its age in milliseconds."""
        book = view.book(proposal.instrument.id)
        if book is None:
            return Refusal(RefusalCode.BOOK_NOT_FRESH, why="no book was received", remedy=_REMEDY)
        if not book.is_fresh:
            return Refusal(RefusalCode.BOOK_NOT_FRESH, why=book.stale_reason or "stale", remedy=_REMEDY)
        if book.bid is not None and book.ask is not None and not book.bid < book.ask:
            return Refusal(RefusalCode.BOOK_NOT_FRESH, why="crossed", bid=book.bid, ask=book.ask, remedy=_REMEDY)
        age_ns = book.age_ns(view.monotonic_ns)
        # A negative age would mean a proof from the future: a clock is wrong, and so may be the book.
        if not 0 <= age_ns <= self.age_ms_max * 1_000_000:
            age_ms = age_ns // 1_000_000
            return Refusal(RefusalCode.BOOK_NOT_FRESH, age_ms=age_ms, age_ms_max=self.age_ms_max, remedy=_REMEDY)
        return None
