"""Order groups: the rolling limit, what triggers, what a reset lets in again."""

import pytest

from connectors.kalshi.sandbox.groups import Group, GroupChange, OrderGroups
from connectors.sandbox.engine.events import Notice
from connectors.sandbox.engine.model import Rejection
from tests.connectors.sandbox.engine.venue import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def groups(venue: Venue) -> OrderGroups:
    return OrderGroups(venue.exchange)


@pytest.fixture
def group(venue: Venue, groups: OrderGroups) -> Group:
    return groups.create("A", 500, now_ns=venue.tick())


def test_group_when_matches_stay_below_the_limit_then_its_orders_rest(venue: Venue, group: Group) -> None:
    order = venue.order("A", "bid", 48, 10, group_id=group.group_id)
    venue.order("B", "ask", 48, 4.99)
    assert order.status == "open"
    assert (group.matched, group.triggered) == (499, False)


def test_group_when_the_limit_is_hit_then_all_its_orders_end_and_new_ones_are_refused(
    venue: Venue, group: Group
) -> None:
    order = venue.order("A", "bid", 48, 10, group_id=group.group_id)
    other = venue.order("A", "bid", 40, 1, group_id=group.group_id)
    alone = venue.order("A", "bid", 39, 1)
    venue.order("B", "ask", 48, 5)
    assert (order.status, order.filled, other.status, alone.status) == ("ended", 500, "ended", "open")
    assert venue.refusal("A", "bid", 48, 1, group_id=group.group_id) == "invalid_order"
    venue.assert_sound()


def test_group_when_its_taker_hits_the_limit_then_the_taker_stops(venue: Venue, group: Group) -> None:
    for _ in range(3):
        venue.order("B", "ask", 52, 3)
    order = venue.order("A", "bid", 52, 20, group_id=group.group_id)
    assert (order.filled, order.status) == (600, "ended")
    assert venue.levels("bid") == []
    assert venue.levels("ask") == [(5200, 300)]
    venue.assert_sound()


def test_group_when_matches_leave_the_window_then_they_no_longer_count(venue: Venue, group: Group) -> None:
    order = venue.order("A", "bid", 48, 20, group_id=group.group_id)
    venue.order("B", "ask", 48, 4)
    venue.tick(15_000)
    venue.order("B", "ask", 48, 4)
    assert (order.status, group.matched) == ("open", 400)
    venue.tick(14_000)
    venue.order("B", "ask", 48, 1)
    assert group.triggered


def test_group_when_reset_then_orders_are_let_in_again(venue: Venue, group: Group, groups: OrderGroups) -> None:
    assert groups.trigger("A", group.group_id, now_ns=venue.tick()) is None
    assert venue.refusal("A", "bid", 48, 1, group_id=group.group_id) == "invalid_order"
    assert groups.reset("A", group.group_id, now_ns=venue.tick()) is None
    assert venue.order("A", "bid", 48, 1, group_id=group.group_id).status == "open"


def test_group_when_the_limit_is_lowered_below_what_matched_then_it_triggers(
    venue: Venue, group: Group, groups: OrderGroups
) -> None:
    order = venue.order("A", "bid", 48, 10, group_id=group.group_id)
    venue.order("B", "ask", 48, 3)
    assert groups.set_limit("A", group.group_id, limit=200, now_ns=venue.tick()) is None
    assert (order.status, group.triggered) == ("ended", True)


def test_group_when_deleted_then_its_orders_end_and_it_is_gone(venue: Venue, group: Group, groups: OrderGroups) -> None:
    order = venue.order("A", "bid", 48, 10, group_id=group.group_id)
    assert groups.delete("A", group.group_id, now_ns=venue.tick()) is None
    assert order.status == "ended"
    assert groups.of_account("A") == []
    assert venue.refusal("A", "bid", 48, 1, group_id=group.group_id) == "not_found"


def test_group_when_it_is_anothers_then_not_found(venue: Venue, group: Group, groups: OrderGroups) -> None:
    answer = groups.trigger("B", group.group_id, now_ns=venue.tick())
    assert isinstance(answer, Rejection)
    assert answer.code == "not_found"
    assert venue.refusal("B", "bid", 48, 1, group_id=group.group_id) == "not_found"


def test_group_when_it_changes_then_each_change_is_published(venue: Venue, group: Group, groups: OrderGroups) -> None:
    groups.set_limit("A", group.group_id, limit=300, now_ns=venue.tick())
    groups.trigger("A", group.group_id, now_ns=venue.tick())
    groups.reset("A", group.group_id, now_ns=venue.tick())
    groups.delete("A", group.group_id, now_ns=venue.tick())
    changes = [notice.detail for notice in venue.events(Notice) if isinstance(notice.detail, GroupChange)]
    seen = [(event.kind, event.limit) for event in changes]
    assert seen == [("created", 500), ("limit_updated", 300), ("triggered", 300), ("reset", 300), ("deleted", 300)]


def test_group_when_the_limit_is_not_above_zero_then_it_is_refused(
    venue: Venue, group: Group, groups: OrderGroups
) -> None:
    assert isinstance(groups.set_limit("A", group.group_id, limit=0, now_ns=venue.tick()), Rejection)
    with pytest.raises(ValueError, match="group limit 0"):
        groups.create("A", 0, now_ns=venue.tick())
