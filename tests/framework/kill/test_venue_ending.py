"""One venue of a kill, in a loop whose time jumps: what is open is ended, whatever the venue makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.mass_cancel import OpenOrder
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import CancelAllScope
from framework.kill.venue_ending import KnownOrders, VenueEnding, VenueOutcome
from framework.runtime.kill_log import KillLog, finished_logs
from tests.connectors.support import LoopClock, run_jumping


class ScriptedAccount:
    """Implements `MassCancel`: orders end `delay_s` after their cancel was taken."""

    def __init__(
        self, names: Sequence[str], *, scope: CancelAllScope = CancelAllScope.NONE, is_listed: bool = True
    ) -> None:
        self.venue = "v"
        self.is_loopback = True
        self.limits = RateLimits((), ())
        self.scope = scope
        self.read_lag_ms = 2_000
        self.open = {name: OpenOrder(venue_order_id=name, symbol=name[0]) for name in names}
        self.asked: list[str] = []
        self.looks = 0
        self.delay_s = 0.0
        self.states_end = False
        self.is_listing = is_listed
        self.errors: dict[str, list[Exception]] = {}
        """What requests raise, the first one first: by order, by "all SYMBOL", or "look"."""
        self.on_look: Callable[[], object] = lambda: None

    async def open_orders(self) -> Sequence[OpenOrder] | None:
        self.looks += 1
        self.on_look()
        self._raise("look")
        return list(self.open.values()) if self.is_listing else None

    async def is_open(self, order: OpenOrder, /) -> bool:
        return order.venue_order_id in self.open

    async def cancel(self, order: OpenOrder, /) -> bool:
        self.asked.append(order.venue_order_id)
        self._raise(order.venue_order_id)
        self._end(order.venue_order_id)
        return self.states_end

    async def cancel_all(self, symbol: str, /) -> bool:
        self.asked.append(f"all {symbol}".strip())
        self._raise(f"all {symbol}".strip())
        for one in list(self.open.values()):
            if symbol in ("", one.symbol):
                self._end(one.venue_order_id)
        return False

    async def close(self) -> None:
        """Nothing is open."""

    def _raise(self, what: str) -> None:
        if self.errors.get(what):
            raise self.errors[what].pop(0)

    def _end(self, name: str) -> None:
        asyncio.get_running_loop().call_later(self.delay_s, lambda: self.open.pop(name, None))


NOTHING = KnownOrders()


def ended(tmp_path: Path, account: ScriptedAccount, known: KnownOrders = NOTHING) -> tuple[VenueOutcome, float]:
    """What became of the venue's orders, and how many seconds it took."""

    async def read() -> KnownOrders:
        return known

    async def main(clock: LoopClock) -> tuple[VenueOutcome, float]:
        log = KillLog(tmp_path, now_ns=1)
        outcome = await VenueEnding(account, log, clock, known=read).end(since_ns=clock.monotonic_ns())
        log.close()
        return outcome, clock.monotonic_ns() / 1e9

    return run_jumping(main)


def test_orders_when_they_are_listed_then_each_is_cancelled_once_and_logged_before_and_after(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1", "b1", "b2"])
    outcome, _ = ended(tmp_path, account)
    assert outcome == VenueOutcome(venue="v", cancelled=3, left=0)
    assert sorted(account.asked) == ["a1", "b1", "b2"]
    ((_, records),) = finished_logs(tmp_path)
    assert [(one.venue_order_id, one.outcome) for one in records[:3]] == [("a1", ""), ("b1", ""), ("b2", "")]
    assert [one.outcome for one in records[3:]] == ["taken"] * 3


def test_end_when_nothing_is_shown_then_it_is_proved_by_a_look_that_began_after_reads_may_lag(tmp_path: Path) -> None:
    account = ScriptedAccount([])
    outcome, seconds = ended(tmp_path, account)
    assert outcome.is_ended
    assert 2.0 <= seconds < 2.5
    assert account.looks == 2


def test_order_when_it_is_shown_late_then_it_is_ended_too(tmp_path: Path) -> None:
    account = ScriptedAccount([])
    late = OpenOrder(venue_order_id="late", symbol="l")
    account.on_look = lambda: account.open.setdefault("late", late) if account.looks == 2 else None
    outcome, _ = ended(tmp_path, account)
    assert (outcome.cancelled, outcome.left) == (1, 0)


def test_cancel_when_it_is_slow_then_it_is_not_asked_again_within_a_second_and_then_it_is(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1"])
    account.delay_s = 2.5
    outcome, _ = ended(tmp_path, account)
    assert outcome.is_ended
    assert account.asked == ["a1"] * 3


@pytest.mark.parametrize("error", [Retryable("reset"), OutcomeUnknown("time-out"), RefusedByVenue("busy", "busy")])
def test_cancel_when_it_fails_then_it_is_tried_again_with_the_next_look(tmp_path: Path, error: Exception) -> None:
    account = ScriptedAccount(["a1", "a2"])
    account.errors["a1"] = [error, error]
    outcome, seconds = ended(tmp_path, account)
    assert outcome.is_ended
    assert account.asked.count("a1") == 3
    assert account.asked.count("a2") == 1
    assert seconds < 2.5


def test_list_when_it_cannot_be_read_then_it_is_read_again(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1"])
    account.errors["look"] = [Retryable("reset")] * 5
    assert ended(tmp_path, account)[0].is_ended


def test_venue_when_nothing_gets_through_then_it_is_given_up_and_not_known(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1"])
    account.errors["look"] = [Retryable("no route")] * 1_000
    outcome, seconds = ended(tmp_path, account)
    assert (outcome.left, outcome.trouble) == (None, "no route")
    assert not outcome.is_ended
    assert 10 < seconds < 11


def test_order_when_its_cancel_is_refused_for_ever_then_it_is_said_to_be_left(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1"])
    account.errors["a1"] = [RefusedByVenue("halted", "no cancels now")] * 1_000
    outcome, _ = ended(tmp_path, account)
    assert outcome.left == 1
    assert "no cancels now" in outcome.trouble


def test_account_when_it_is_refused_then_nothing_more_is_asked(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1"])
    account.errors["a1"] = [AccountRefused("the key is revoked")]
    outcome, _ = ended(tmp_path, account)
    assert (outcome.left, outcome.trouble) == (1, "the key is revoked")


def test_account_when_one_request_ends_all_then_it_leaves_before_any_look(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1", "b1"], scope=CancelAllScope.ACCOUNT)
    account.on_look = lambda: account.asked.append("look")
    outcome, _ = ended(tmp_path, account)
    assert account.asked[:2] == ["all", "look"]
    assert outcome.is_all_cancelled
    assert outcome.is_ended


def test_account_when_its_cancel_of_all_fails_then_several_are_ended_by_another_and_one_by_its_own(
    tmp_path: Path,
) -> None:
    account = ScriptedAccount(["a1", "b1"], scope=CancelAllScope.ACCOUNT)
    account.errors["all"] = [Retryable("reset")]
    assert ended(tmp_path, account)[0].is_ended
    assert [one for one in account.asked if one.startswith("all")] == ["all", "all"]


def test_markets_when_one_request_ends_those_of_one_then_each_with_several_has_one(tmp_path: Path) -> None:
    account = ScriptedAccount(["a1", "a2", "b1", "b2", "c1"], scope=CancelAllScope.MARKET)
    outcome, _ = ended(tmp_path, account)
    assert sorted(account.asked) == ["all a", "all b", "c1"]
    assert (outcome.cancelled, outcome.left) == (5, 0)


KNOWN = KnownOrders(tuple(OpenOrder(venue_order_id=name, symbol="a") for name in ("a1", "a2", "gone")))


@pytest.mark.parametrize("states_end", [True, False])
def test_orders_when_the_venue_lists_none_then_those_of_the_journal_are_ended(tmp_path: Path, states_end: bool) -> None:
    account = ScriptedAccount(["a1", "a2"], is_listed=False)
    account.states_end = states_end
    account.errors["gone"] = [RefusedByVenue("not_found", "no such order")]
    outcome, _ = ended(tmp_path, account, KNOWN)
    assert outcome == VenueOutcome(venue="v", cancelled=2, left=0)


def test_orders_when_the_journal_has_some_without_an_id_then_it_is_not_known_that_all_have_ended(
    tmp_path: Path,
) -> None:
    account = ScriptedAccount(["a1"], is_listed=False)
    outcome, _ = ended(tmp_path, account, KnownOrders(KNOWN.orders[:1], without_id=2))
    assert (outcome.cancelled, outcome.left) == (1, 2)
    assert "2 of them" in outcome.trouble
