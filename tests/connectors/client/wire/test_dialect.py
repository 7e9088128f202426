"""What differs between venues: marked by its source, and words for states that keep exposure when in doubt."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from connectors.client.wire.dialect import FACT, Assumed, OrderStates, assumptions_of

STATES = OrderStates(
    open=frozenset({"PENDING", "PARTIALLY_FILLED"}),
    ended=frozenset({"FILLED", "EXPIRED_IN_MATCH"}),
    cancelling=frozenset({"CANCELLATION_REQUESTED"}),
)


class Whole(msgspec.Struct, frozen=True):
    """A dialect."""

    prefix: Annotated[str, FACT] = "/v1"
    separator: Annotated[str, Assumed("Parts are joined by line breaks.")] = "\n"
    drift_ms: Annotated[int, Assumed("Clocks may differ by 30 s.")] = 30_000


class Unmarked(msgspec.Struct, frozen=True):
    """A dialect with a value from nowhere."""

    prefix: Annotated[str, FACT] = "/v1"
    separator: str = "\n"


def test_dialect_when_asked_then_its_assumptions_are_listed_in_their_order() -> None:
    assert assumptions_of(Whole) == ("Parts are joined by line breaks.", "Clocks may differ by 30 s.")


def test_dialect_when_a_value_has_no_source_then_it_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"Unmarked\.separator"):
        assumptions_of(Unmarked)


@pytest.mark.parametrize(
    ("status", "remaining", "is_open", "is_cancelling"),
    [
        ("PENDING", 0, True, False),
        ("CANCELLATION_REQUESTED", 5, True, True),
        ("FILLED", 0, False, False),
        ("EXPIRED_IN_MATCH", 5, False, False),
        ("A_NEW_WORD", 5, True, False),
        ("A_NEW_WORD", 0, False, False),
    ],
)
def test_order_when_its_word_is_not_known_then_it_may_trade_while_anything_remains(
    status: str, remaining: int, is_open: bool, is_cancelling: bool
) -> None:
    assert (STATES.is_open(status, remaining), STATES.is_cancelling(status)) == (is_open, is_cancelling)
