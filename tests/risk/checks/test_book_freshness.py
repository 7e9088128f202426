from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.verdicts import RefusalCode
from risk.checks.book_freshness import BookFreshness
from tests.support.desk import QuotedBook
from tests.support.risk_view import BINARY, Propose, StaticView, book

CHECK = BookFreshness(age_ms_max=500)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (None, "no book"),
        (book(is_fresh=False), "gap"),
        (book(5_100, 5_000), "crossed"),
        (book(5_000, 5_000), "crossed"),
        (book(age=500_000_001), "age_ms=500"),
        (book(age=-1), "age_ms=-1"),
    ],
)
def test_book_when_missing_stale_crossed_or_old_then_refused_with_the_reason(
    view: StaticView, propose: Propose, reference: QuotedBook | None, why: str
) -> None:
    view.books = {} if reference is None else {BINARY.id: reference}
    refusal = CHECK.check(propose(), view)
    assert refusal is not None
    assert refusal.code is RefusalCode.BOOK_NOT_FRESH
    assert why in refusal.text


@pytest.mark.parametrize(
    "reference", [book(), book(age=500_000_000), QuotedBook(BINARY.id, [(1, 1)]), QuotedBook(BINARY.id)]
)
def test_book_when_fresh_then_passes_also_one_sided(view: StaticView, propose: Propose, reference: QuotedBook) -> None:
    view.books = {BINARY.id: reference}
    assert CHECK.check(propose(), view) is None


@pytest.mark.parametrize("bad", [{}, {"age_ms_max": 0}, {"age_ms_max": -1}, {"age_ms_max": 1, "age_max": 2}])
def test_settings_when_the_age_is_missing_or_no_limit_then_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BookFreshness.model_validate(bad)
