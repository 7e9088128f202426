from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from framework.persistence.ledger.schema import connect
from tests.proofs.sigkill.__main__ import is_kept
from tests.proofs.sigkill.comparison import AGREE_S_MAX, LAST_LOOK_S, Comparison
from tests.proofs.sigkill.truth import MarketScale, Report, VenueFill, VenueOrder, VenuePosition
from tests.proofs.sigkill.watch import JournalWatch

MARKET = "KXTIDE-A"
LONG_AGO_NS = 1_000


def report(*orders: VenueOrder, fills: Sequence[VenueFill] = (), net: int = 0, problems: Sequence[str] = ()) -> Report:
    return Report(
        decimals={MARKET: MarketScale(price=4, size=2)},
        orders=list(orders),
        fills=list(fills),
        positions={"member": {MARKET: VenuePosition(net)}},
        rate_limited=0,
        refused_signatures=0,
        problems=list(problems),
    )


def order(status: str, *, updated_ns: int = LONG_AGO_NS) -> VenueOrder:
    return VenueOrder("tg-1-1", status, arrival_ns=LONG_AGO_NS, updated_ns=updated_ns)


class Clock:
    """Stands still, but for who sleeps and for the venue's answers."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def time_ns(self) -> int:
        return round(self.now_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tests.proofs.sigkill.comparison.time", clock)
    return clock


class Venue:
    """Has the order ended until `changes_s`, then open; takes `takes_s` for each answer; notes when it was asked."""

    def __init__(self, clock: Clock, *, changes_s: float, takes_s: float = 0.03) -> None:
        self.asked_s: list[float] = []
        self._clock, self._changes_s, self._takes_s = clock, changes_s, takes_s

    def __call__(self) -> Report:
        asked_s = self._clock.now_s
        self.asked_s.append(asked_s)
        self._clock.now_s += self._takes_s
        return report(order("canceled" if asked_s < self._changes_s else "resting"))


@pytest.fixture
def show(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a ledger in which the order has this status; the state directory."""

    def made(status: str) -> Path:
        row = ("tg-1-1", "kalshi", "v-1", "mm", f"kalshi:{MARKET}", "buy", "0.5", "1", "0", "gtc", status, "", 1, 1, 1)
        later = ("limit", "", "", "", "")
        with closing(connect(tmp_path / "ledger.sqlite3")) as ledger:
            ledger.execute(f"INSERT INTO orders VALUES ({', '.join('?' * 20)})", row + later)  # noqa: S608
        return tmp_path

    return made


def wait(comparison: Comparison, state: Path, *, ready_s: float) -> float | None:
    return comparison.wait(ready_s, lambda: True, JournalWatch(state))


@pytest.mark.parametrize("takes_s", [0.0, 0.03, 0.4, 0.9, 2.0])
def test_comparison_when_venue_agrees_only_after_the_limit_then_the_last_look_was_at_the_limit_and_it_is_wrong(
    show: Callable[[str], Path], clock: Clock, takes_s: float
) -> None:
    state, ready_s = show("working"), clock.now_s
    venue = Venue(clock, changes_s=ready_s + AGREE_S_MAX, takes_s=takes_s)
    comparison = Comparison(venue, state)
    assert wait(comparison, state, ready_s=ready_s) is None
    assert comparison.wrong()["ghosts"] == ["tg-1-1 working"]
    assert venue.asked_s[-1] - ready_s == pytest.approx(LAST_LOOK_S)


def test_comparison_when_a_look_is_still_under_way_at_the_limit_then_no_later_one_counts(
    show: Callable[[str], Path], clock: Clock
) -> None:
    state, ready_s = show("working"), clock.now_s
    venue = Venue(clock, changes_s=ready_s + 1, takes_s=6.0)
    comparison = Comparison(venue, state)
    assert wait(comparison, state, ready_s=ready_s) is None
    assert venue.asked_s == [ready_s]


def test_comparison_when_the_last_look_agrees_then_it_counts(show: Callable[[str], Path], clock: Clock) -> None:
    state, ready_s = show("working"), clock.now_s
    comparison = Comparison(Venue(clock, changes_s=ready_s + LAST_LOOK_S - 0.01), state)
    assert wait(comparison, state, ready_s=ready_s) == pytest.approx(LAST_LOOK_S)
    assert not any(comparison.wrong().values())


def test_comparison_when_its_first_look_is_too_late_then_agreement_does_not_count(
    show: Callable[[str], Path], clock: Clock
) -> None:
    state = show("working")
    comparison = Comparison(lambda: report(order("resting")), state)
    assert comparison.is_settled
    assert wait(comparison, state, ready_s=clock.now_s - AGREE_S_MAX - 0.1) is None


@pytest.mark.parametrize(
    ("shown", "at_venue", "is_after", "agrees"),
    [
        ("working", "resting", False, True),
        ("unknown", "resting", False, False),
        ("cancelled", "resting", False, False),
        ("cancelled", "canceled", False, True),
        ("working", "canceled", False, False),
        ("working", "canceled", True, True),
        ("unknown", "canceled", True, False),
    ],
)
def test_order_when_it_is_compared_then_only_a_change_after_the_look_began_may_be_unheard(
    show: Callable[[str], Path], clock: Clock, shown: str, at_venue: str, is_after: bool, agrees: bool
) -> None:
    updated_ns = clock.time_ns() + (1 if is_after else -1)
    comparison = Comparison(lambda: report(order(at_venue, updated_ns=updated_ns)), show(shown))
    assert comparison.is_settled is agrees


def test_position_when_it_is_not_the_sum_of_its_fills_then_the_side_is_named(show: Callable[[str], Path]) -> None:
    comparison = Comparison(lambda: report(order("resting"), net=100), show("working"))
    assert [line.partition(":")[0] for line in comparison.wrong()["positions_off"]] == ["venue"]


def test_fills_when_two_share_an_id_then_it_is_a_problem_of_the_venue(show: Callable[[str], Path]) -> None:
    fill = VenueFill("t-1", MARKET, "bid", price=5_000, size=100, fee=0)
    comparison = Comparison(lambda: report(fills=[fill, fill], net=200), show("cancelled"))
    assert comparison.truth.problems == ["1 fills share the id of another one"]


GOOD: dict[str, Any] = {
    "reached": {},
    "ready_ms_p99": 500.0,
    "agree_ms_max": 5_000.0,
    "starts_compared": 3,
    "starts_agreed": 3,
    "orders_twice": 0,
    "rate_limited": 0,
    "refused_signatures": 0,
    "records_unseen": 0,
    "wrong": {},
    "venue_problems": [],
    "fills": 1,
}


def test_figures_when_every_promise_held_then_they_are_kept() -> None:
    assert is_kept(GOOD, Counter())


@pytest.mark.parametrize(
    "broken", [{"agree_ms_max": 5_000.1}, {"agree_ms_max": None}, {"starts_agreed": 2}, {"wrong": {"ghosts": 1}}]
)
def test_figures_when_a_start_agreed_late_or_not_at_all_then_they_are_not_kept(broken: dict[str, Any]) -> None:
    assert not is_kept(GOOD | broken, Counter())
