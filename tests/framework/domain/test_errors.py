"""Exit codes and suggestions: what a misspelt word is answered with, and how little it takes to load them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from framework.domain.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_ORDERS_LEFT,
    EXIT_USAGE,
    Retryable,
    closest,
    hint,
    suggestion,
)
from framework.domain.loading import load_late

KNOWN = ["verify", "dump", "cut"]


def test_exit_codes_when_a_script_compares_them_then_they_are_what_they_always_were() -> None:
    assert (EXIT_FAILED, EXIT_USAGE, EXIT_ORDERS_LEFT, EXIT_INTERRUPTED) == (1, 2, 3, 130)


@pytest.mark.parametrize(
    ("word", "found", "hinted", "suggested"),
    [
        ("verfy", "verify", '; did you mean "verify"?', 'did you mean "verify"?'),
        ("verbatim", "", '; did you mean "verify"?', "known: cut, dump, verify"),
        ("xyz", "", "", "known: cut, dump, verify"),
    ],
)
def test_word_when_it_is_misspelt_then_the_nearest_known_one_is_named(
    word: str, found: str, hinted: str, suggested: str
) -> None:
    assert (closest(word, KNOWN), hint(word, KNOWN), suggestion(word, KNOWN)) == (found, hinted, suggested)


def test_suggestion_when_nothing_is_known_then_it_says_so() -> None:
    assert suggestion("x", []) == "none is known here"


def test_closest_when_a_higher_closeness_is_asked_for_then_a_distant_word_does_not_count() -> None:
    assert closest("livid", ["live"], closeness_min=0.6) == "live"
    assert closest("livid", ["live"], closeness_min=0.75) == ""


def test_retryable_when_it_is_a_rate_limit_then_the_venue_has_answered() -> None:
    assert Retryable("slow down", is_rate_limit=True).was_answered
    assert not Retryable("no connection").was_answered


def test_load_late_when_named_then_the_attribute_is_returned_and_a_wrong_name_raises() -> None:
    assert load_late("framework.domain.errors:hint") is hint
    with pytest.raises(AttributeError, match="no_such"):
        load_late("framework.domain.errors:no_such")
    with pytest.raises(ImportError, match="no_such"):
        load_late("framework.no_such:name")


def test_errors_when_imported_then_only_the_standard_library_comes_with_them() -> None:
    code = (
        "import sys, framework.domain.errors; print([name for name in ('msgspec', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
