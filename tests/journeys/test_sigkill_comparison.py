from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.domain.terms import FillListing
from framework.persistence.ledger.schema import connect
from tests.proofs.sigkill.__main__ import is_kept
from tests.proofs.sigkill.amounts import amounts_off
from tests.proofs.sigkill.comparison import WAKE_S, Comparison
from tests.proofs.sigkill.truth import (
    Amounts,
    FillFacts,
    Observed,
    Report,
    Shown,
    Truth,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from tests.proofs.sigkill.watch import JournalWatch

MARKET = "KXTIDE-A"
LONG_AGO_NS = 1_000
AGREE_S_MAX = 5.0
LAST_LOOK_S = AGREE_S_MAX - WAKE_S


def truth(
    *orders: VenueOrder, fills: Sequence[VenueFill] = (), net: int = 0, problems: Sequence[str] = (),
    listing: FillListing = FillListing.LISTED,
) -> Truth:  # fmt: skip
    held = [VenuePosition(MARKET, Decimal(net))]
    return Truth(Report(list(orders), list(fills), held, Observed(), list(problems)), listing)


def order(status: str, *, updated_ns: int = LONG_AGO_NS) -> VenueOrder:
    return VenueOrder(
        order_id="v-1",
        client_order_id="tg-1-1",
        sent_as="",
        status=status,
        reason="",
        price=Decimal("0.5"),
        size=Decimal(1),
        created_ns=LONG_AGO_NS,
        updated_ns=updated_ns,
    )


def fill(fill_id: str, *, size: str = "1", ts_ns: int = LONG_AGO_NS) -> VenueFill:
    return VenueFill(fill_id, "v-1", MARKET, "buy", Decimal("0.5"), Decimal(size), Decimal(0), ts_ns)


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

    def __call__(self) -> Truth:
        asked_s = self._clock.now_s
        self.asked_s.append(asked_s)
        self._clock.now_s += self._takes_s
        return truth(order("ended" if asked_s < self._changes_s else "open"))


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
    comparison = Comparison(venue, state, agree_s_max=AGREE_S_MAX)
    assert wait(comparison, state, ready_s=ready_s) is None
    assert comparison.wrong()["ghosts"] == ["tg-1-1 working"]
    assert venue.asked_s[-1] - ready_s == pytest.approx(LAST_LOOK_S)


def test_comparison_when_a_look_is_still_under_way_at_the_limit_then_no_later_one_counts(
    show: Callable[[str], Path], clock: Clock
) -> None:
    state, ready_s = show("working"), clock.now_s
    venue = Venue(clock, changes_s=ready_s + 1, takes_s=6.0)
    comparison = Comparison(venue, state, agree_s_max=AGREE_S_MAX)
    assert wait(comparison, state, ready_s=ready_s) is None
    assert venue.asked_s == [ready_s]


def test_comparison_when_the_last_look_agrees_then_it_counts(show: Callable[[str], Path], clock: Clock) -> None:
    state, ready_s = show("working"), clock.now_s
    comparison = Comparison(Venue(clock, changes_s=ready_s + LAST_LOOK_S - 0.01), state, agree_s_max=AGREE_S_MAX)
    assert wait(comparison, state, ready_s=ready_s) == pytest.approx(LAST_LOOK_S)
    assert not any(comparison.wrong().values())


def test_comparison_when_its_first_look_is_too_late_then_agreement_does_not_count(
    show: Callable[[str], Path], clock: Clock
) -> None:
    state = show("working")
    comparison = Comparison(lambda: truth(order("open")), state, agree_s_max=AGREE_S_MAX)
    assert comparison.is_settled
    assert wait(comparison, state, ready_s=clock.now_s - AGREE_S_MAX - 0.1) is None


@pytest.mark.parametrize(
    ("shown", "at_venue", "is_after", "agrees"),
    [
        ("working", "open", False, True),
        ("unknown", "open", False, False),
        ("cancelled", "open", False, False),
        ("cancelled", "ended", False, True),
        ("working", "ended", False, False),
        ("working", "ended", True, True),
        ("unknown", "ended", True, False),
    ],
)
def test_order_when_it_is_compared_then_only_a_change_after_the_look_began_may_be_unheard(
    show: Callable[[str], Path], clock: Clock, shown: str, at_venue: str, is_after: bool, agrees: bool
) -> None:
    updated_ns = clock.time_ns() + (1 if is_after else -1)
    found = truth(order(at_venue, updated_ns=updated_ns))
    comparison = Comparison(lambda: found, show(shown), agree_s_max=AGREE_S_MAX)
    assert comparison.is_settled is agrees


def test_position_when_it_is_not_the_sum_of_its_fills_then_the_side_is_named(show: Callable[[str], Path]) -> None:
    comparison = Comparison(lambda: truth(order("open"), net=100), show("working"), agree_s_max=AGREE_S_MAX)
    assert [line.partition(":")[0] for line in comparison.wrong()["positions_off"]] == ["venue"]


def test_fills_when_two_share_an_id_then_it_is_a_problem_of_the_venue(show: Callable[[str], Path]) -> None:
    doubled = [fill("t-1"), fill("t-1")]
    comparison = Comparison(lambda: truth(fills=doubled, net=2), show("cancelled"), agree_s_max=AGREE_S_MAX)
    assert comparison.truth.problems == ["1 fills share the id of another one"]


def test_order_when_it_has_no_id_of_ours_then_the_request_that_made_it_says_whose_it_is() -> None:
    nameless = msgspec.structs.replace(order("open"), client_order_id="", sent_as="digest")
    report = Report([nameless], [], [], Observed(), [])
    assert Truth(report, sent={"digest": "tg-1-7"}).open == {"tg-1-7"}
    assert Truth(report, sent={"another": "tg-1-7"}).open == {"unknown order v-1"}


def test_fills_when_an_order_states_their_sum_then_sums_are_compared_and_what_they_cost() -> None:
    listing = FillListing.BY_ORDER
    found = truth(order("ended"), fills=[fill("t-1", size="1"), fill("t-2", size="2")], listing=listing)
    nothing = Decimal(0)
    assert found.fills == {"tg-1-1": FillFacts(MARKET, "buy", nothing, Decimal(3), nothing)}
    assert found.amounts == {"tg-1-1": Amounts("buy", Decimal(3), Decimal("1.5"), nothing)}


@pytest.mark.parametrize(("behind_s", "is_settled"), [(0.0, False), (5.0, True)])
def test_position_when_it_alone_shows_fills_then_it_may_be_one_of_lately(
    show: Callable[[str], Path], clock: Clock, behind_s: float, is_settled: bool
) -> None:
    found = truth(fills=[fill("t-1", ts_ns=clock.time_ns() - 10**9)], net=1, listing=FillListing.TAKER_ONLY)
    comparison = Comparison(
        lambda: found,
        show("cancelled"),
        agree_s_max=AGREE_S_MAX,
        listing=FillListing.TAKER_ONLY,
        behind_s=behind_s,
    )
    assert comparison.is_settled is is_settled


def test_order_when_it_only_takes_an_id_then_an_older_approval_of_that_id_is_enough(tmp_path: Path) -> None:
    stand_in = msgspec.structs.replace(order("ended"), price=Decimal("0.01"))
    found = Truth(Report([stand_in], [], [], Observed(), []), stand_ins_below=1)
    watch = JournalWatch(tmp_path)
    assert watch.unrecorded(found) == {"tg-1-1"}
    watch.approved_ns["tg-1-1"] = LONG_AGO_NS - 1
    assert watch.unrecorded(found) == set()
    assert watch.unrecorded(truth(order("ended"))) == {"tg-1-1"}


@pytest.mark.parametrize(
    ("cost", "fee", "is_off"),
    [("0.5", "0.1", False), ("0.6", "0.2", False), ("0.49", "0.1", True), ("0.61", "0.1", True), ("0.5", "0.09", True)],
)
def test_amounts_when_they_are_inferred_then_never_better_for_us_than_they_were_nor_worse_than_the_limit(
    show: Callable[[str], Path], cost: str, fee: str, is_off: bool
) -> None:
    bought = msgspec.structs.replace(order("ended"), price=Decimal("0.6"))
    filled = msgspec.structs.replace(fill("t-1"), fee=Decimal("0.1"))
    found = Truth(Report([bought], [filled], [], Observed(), []), FillListing.BY_ORDER)
    shown = Shown(show("filled"))
    shown.amounts["tg-1-1"] = Amounts("buy", Decimal(1), Decimal(cost), Decimal(fee))
    assert bool(amounts_off(found, shown)) is is_off


GOOD: dict[str, Any] = {
    "reached": {},
    "ready_ms_p99": 500.0,
    "agree_ms_max": 5_000.0,
    "agree_s_max": 5.0,
    "ready_s_max": 2.0,
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
