"""Checks that watch: what they are shown, what becomes of what they order, and what happens when one breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from framework.domain.account_events import (
    CancelRequested,
    Fill,
    LimitChanged,
    OrderReport,
    ReportKind,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.market_events import BookSnapshot, TermsDeclared
from framework.domain.ports import ControlAction
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import Approved, Refusal, RefusalCode, Refused
from framework.domain.views import Proposal, RiskView
from tests.framework.engine.test_kernel import accept, report
from tests.support.world import MARKET, VENUE, Scribe, World

KINDS = (Fill, OrderReport, BookSnapshot, TermsDeclared, Approved)


class Watch:
    """Settings and memory in one, for one run: keeps what it is shown, and orders what the test says."""

    def __init__(self, *kinds: type, order: Callable[[Any], Iterable[ControlAction]] = lambda _: ()) -> None:
        self.follows = kinds or KINDS
        self.order = order
        self.seen: list[Any] = []

    def begin(self, _before: object = None, /) -> Watch:
        return self

    def check(self, proposal: Proposal, view: RiskView, /) -> None:
        return None

    def follow(self, event: Any, view: RiskView, /) -> Iterable[ControlAction]:
        self.seen.append(event)
        return self.order(event)

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.seen if isinstance(one, kind)]


def halt(scope: Scope = Scope.STRATEGY, target: str = "scribe", **facts: Any) -> TradingStateChanged:
    terms = {"state": TradingState.HALTED, "reason": "too much", "ts_recv": 0, **facts}
    return TradingStateChanged(scope=scope, target=target, **terms)


def make(directory: Path, watch: Watch) -> tuple[World, Scribe]:
    world = World(directory, checks=[("watch", watch)])
    world.start()
    return world, world.add()


def states(world: World) -> list[tuple[str, str, str]]:
    return [(row.target, row.state.value, row.by) for row in world.accounts.trading.rows()]


def test_monitor_when_things_happen_then_it_is_shown_what_it_follows_and_nothing_else(tmp_path: Path) -> None:
    watch = Watch()
    world, scribe = make(tmp_path, watch)
    world.offer(VenueTerms())
    bid = world.buy(scribe, 45)
    accept(world, bid.client_order_id)
    assert [type(one) for one in watch.seen] == [BookSnapshot, TermsDeclared, Approved, OrderReport]
    assert world.buy(scribe, 45, size=0).refusal is not None
    assert len(watch.of(Approved)) == 1, "a refusal is not shown"


def test_monitor_when_a_fill_comes_twice_then_it_is_shown_once_and_the_order_is_known(tmp_path: Path) -> None:
    watch = Watch(Fill)
    world, scribe = make(tmp_path, watch)
    bid = world.buy(scribe)
    accept(world, bid.client_order_id)
    for _ in range(2):
        world.kernel.publish(world.fill(bid, 3))
    assert [(one.size, one.client_order_id) for one in watch.seen] == [(3, bid.client_order_id)]


def test_monitor_when_a_fill_comes_before_its_order_then_it_is_shown_once_it_is_known_whose_it_is(
    tmp_path: Path,
) -> None:
    watch = Watch(Fill)
    world, scribe = make(tmp_path, watch)
    bid = world.buy(scribe)
    early = world.fill(bid, 3)
    world.kernel.publish(type(early)(**{**_fields(early), "client_order_id": ""}))
    assert watch.seen == []
    accept(world, bid.client_order_id)
    assert [one.client_order_id for one in watch.seen] == [bid.client_order_id]


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_order_of_a_monitor_when_given_then_it_is_the_next_input_journaled_in_the_name_of_the_check(
    tmp_path: Path,
) -> None:
    watch = Watch(Approved, order=lambda _: [halt(is_cancelling=True)])
    world, scribe = make(tmp_path, watch)
    bid = world.buy(scribe, 45)
    entry = next(one for one in world.entries() if isinstance(one.record.body, TradingStateChanged))
    approved = next(one for one in world.entries() if isinstance(one.record.body, Approved))
    assert entry.record.step == approved.record.step + 1
    assert (entry.record.body.by, entry.record.body.ts_recv) == ("watch", world.clock.now_ns())
    assert states(world) == [("scribe", "halted", "watch")]
    assert world.order(bid).cancel_wanted
    assert world.buy(scribe, 44).refusal.code is RefusalCode.TRADING_HALTED  # type: ignore[union-attr]


def test_order_of_a_monitor_when_a_strategy_acts_on_the_same_event_then_nothing_of_that_leaves(tmp_path: Path) -> None:
    watch = Watch(Fill, order=lambda _: [halt()])
    world, scribe = make(tmp_path, watch)
    bid = world.carried(scribe)
    accept(world, bid.client_order_id)
    handles: list[Any] = []
    scribe.chores["fill"] = lambda: handles.append(scribe.buy(MARKET, 44, 1))  # type: ignore[arg-type]
    world.kernel.publish(world.fill(bid, 3))
    assert handles[0].is_approved
    request = world.queue.peek()
    assert request is not None
    assert "trading was halted" in str(world.core.last_look.why_unwanted(request))


def test_order_of_a_monitor_when_it_cancels_one_order_then_the_kernel_does(tmp_path: Path) -> None:
    world, scribe = make(tmp_path, watch := Watch(BookSnapshot))
    bid = world.carried(scribe)
    accept(world, bid.client_order_id)
    cancel = CancelRequested(venue=VENUE, client_order_id=bid.client_order_id, reason="too old", ts_recv=0)
    watch.order = lambda _: [cancel]
    world.quote(41, 59)
    assert world.next_intent().client_order_id == bid.client_order_id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("set_before", "asked", "left"),
    [
        (TradingState.HALTED, TradingState.REDUCING, ("scribe", "halted", "operator")),
        (TradingState.REDUCING, TradingState.HALTED, ("scribe", "halted", "watch")),
        (TradingState.ACTIVE, TradingState.REDUCING, ("scribe", "reducing", "watch")),
    ],
)
def test_state_when_a_monitor_asks_for_one_then_it_never_replaces_a_stricter_one(
    tmp_path: Path, set_before: TradingState, asked: TradingState, left: tuple[str, str, str]
) -> None:
    world, _ = make(tmp_path, watch := Watch(BookSnapshot))
    world.kernel.publish(halt(state=set_before, by="operator"))
    watch.order = lambda _: [halt(state=asked)]
    world.quote(41, 59)
    assert states(world) == [left]


def raises(_event: Any) -> Iterable[ControlAction]:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (raises, "SystemExit: 3"),
        (lambda _: [halt(state=TradingState.ACTIVE)], "TradingStateChanged is nothing that a check may order"),
        (lambda _: ["halt"], "str is nothing that a check may order"),
        (lambda _: None, "TypeError"),
    ],
)
def test_monitor_when_it_breaks_then_everything_is_halted_until_a_person_resumes(
    tmp_path: Path, order: Callable[[Any], Iterable[ControlAction]], why: str
) -> None:
    world, scribe = make(tmp_path, watch := Watch(BookSnapshot))
    watch.order = order
    world.quote(41, 59)
    world.quote(42, 58)
    assert states(world) == [("", "halted", "watch")]
    (row,) = world.accounts.trading.rows()
    assert row.reason.startswith("the check watch does not watch any more: ")
    assert why in row.reason
    halts = [one for one in world.entries() if isinstance(one.record.body, TradingStateChanged)]
    assert len(halts) == 1, "said once"
    assert world.buy(scribe).refusal is not None
    watch.order = lambda _: ()
    world.kernel.publish(halt(Scope.GLOBAL, "", state=TradingState.ACTIVE, by="operator"))
    assert world.buy(scribe).is_approved


def test_check_that_remembers_when_it_refuses_then_it_is_a_check_like_any_other(tmp_path: Path) -> None:
    from_outside = Watch()
    from_outside.check = lambda _proposal, _view: Refused  # type: ignore[assignment,method-assign,return-value]
    world, scribe = make(tmp_path, from_outside)
    refusal = world.buy(scribe).refusal
    assert refusal is not None
    assert (refusal.code, refusal.check) == (RefusalCode.CHECK_FAILED, "watch")


def test_report_when_nobody_follows_then_nothing_is_shown(tmp_path: Path) -> None:
    world, scribe = make(tmp_path, watch := Watch(BookSnapshot))
    watch.seen.clear()
    world.kernel.publish(report(world, world.buy(scribe).client_order_id, ReportKind.REJECTED))
    assert watch.seen == []


class Few(BaseModel):
    """Counts approvals, and refuses from the limit on."""

    model_config = ConfigDict(frozen=True)
    orders_max: int

    def begin(self, before: Counted | None = None, /) -> Counted:
        if self.orders_max == 13:
            raise ValueError("not 13")
        return Counted(self.orders_max, 0 if before is None else before.count)


class Counted:
    """How many orders were approved."""

    follows = (Approved,)

    def __init__(self, limit: int, count: int) -> None:
        self.limit, self.count = limit, count

    def check(self, _proposal: Proposal, _view: RiskView, /) -> Refusal | None:
        return Refusal(RefusalCode.PLUGIN_CHECK, count=self.count) if self.count >= self.limit else None

    def follow(self, _event: Any, _view: RiskView, /) -> tuple[()]:
        self.count += 1
        return ()


def limit_to(world: World, value: str) -> None:
    change = LimitChanged(check="few", key="orders_max", value=value, configured="3", reason="drill", ts_recv=1)
    world.kernel.publish(change)


def test_settings_when_they_change_while_it_runs_then_what_the_check_knows_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, checks=[("few", Few(orders_max=3))])
    world.start()
    scribe = world.add()
    for price in (41, 42):
        assert world.buy(scribe, price).is_approved
    limit_to(world, "2")
    refusal = world.buy(scribe, 43).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail) == (RefusalCode.PLUGIN_CHECK, "count=2")
    limit_to(world, "3")
    assert world.buy(scribe, 43).is_approved
    assert not world.buy(scribe, 44).is_approved, "what the changed one saw counts, too"


def test_settings_when_the_check_can_not_begin_with_them_then_everything_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, checks=[("few", Few(orders_max=3))])
    world.start()
    scribe = world.add()
    limit_to(world, "13")
    refusal = world.buy(scribe, 43).refusal
    assert refusal is not None
    assert (refusal.code, refusal.check) == (RefusalCode.CHECK_FAILED, "few")
    assert "not 13" in refusal.detail
