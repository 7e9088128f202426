"""The register of fills: each once, reversed at most once."""

from __future__ import annotations

import pytest

from framework.domain.account_events import FillVoided
from framework.state.fills import Fills, is_same_trade
from tests.support.state_records import VENUE, fill


def void(fill_id: str) -> FillVoided:
    return FillVoided(venue=VENUE, fill_id=fill_id, ts_recv=1)


@pytest.fixture
def fills() -> Fills:
    return Fills(kept_max=3)


def test_void_when_the_fill_is_known_then_marks_it_once(fills: Fills) -> None:
    booked = fills.enter(fill("f1"))
    assert booked is not None
    assert fills.void(void("f1")) is booked
    assert booked.is_voided
    assert fills.void(void("f1")) is None


def test_void_when_it_comes_first_then_waits_for_its_fill_only(fills: Fills) -> None:
    assert fills.void(void("f1")) is None
    other, voided = fills.enter(fill("f2")), fills.enter(fill("f1"))
    assert other is not None
    assert voided is not None
    assert (other.is_voided, voided.is_voided) == (False, True)


def test_voids_when_too_many_wait_then_the_oldest_goes(fills: Fills) -> None:
    for number in range(4):
        fills.void(void(f"f{number}"))
    first, last = fills.enter(fill("f0")), fills.enter(fill("f3"))
    assert first is not None
    assert last is not None
    assert (first.is_voided, last.is_voided) == (False, True)


def test_register_when_full_then_forgets_the_oldest_and_refuses_what_is_older(fills: Fills) -> None:
    for at in (10, 20, 30, 40):
        assert fills.enter(fill(f"f{at}", at=at))
    assert fills.get(VENUE, "f10") is None
    assert len(fills) == 3
    assert fills.enter(fill("f9", at=9)) is None
    assert fills.enter(fill("f10", at=10)) is None
    assert fills.enter(fill("f11", at=11)) is not None


def test_register_when_restored_then_forgets_in_the_same_order(fills: Fills) -> None:
    for name in ("b", "a", "c"):
        fills.enter(fill(name))
    fills.void(void("z"))
    again = Fills.from_snapshot(fills.snapshot(), fills.keys(), kept_max=3)
    again.enter(fill("d"))
    assert [name for _, name in again.keys()] == ["a", "c", "d"]
    voided = again.enter(fill("z", at=10**9))
    assert voided is not None
    assert voided.is_voided


def test_listed_fill_when_applying_it_again_changes_nothing_then_it_is_no_news(fills: Fills) -> None:
    assert fills.is_news(fill("f1"))
    booked = fills.enter(fill("f1"))
    assert booked is not None
    assert fills.is_news(fill("f1"))
    booked.client_order_id = "c1"
    assert not fills.is_news(fill("f1"))
    assert fills.is_news(fill("f1", fee=77))


def test_listed_fill_when_it_is_as_old_as_the_forgotten_ones_then_it_is_no_news(fills: Fills) -> None:
    for at in (10, 20, 30, 40):
        fills.enter(fill(f"f{at}", at=at))
    assert [fills.is_news(fill(f"g{at}", at=at)) for at in (9, 10, 11)] == [False, False, True]


def test_same_trade_when_only_the_source_differs_then_is_the_same() -> None:
    assert is_same_trade(fill(at=1), fill(at=2, name="", venue_order_id=""))
    assert not is_same_trade(fill(fee=1), fill(fee=2))
