"""Who gets what is published on a stream: by channel, market and account; numbers, and what a fault mutes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, cast

import pytest

from connectors.sandbox.serving.faults import FaultPlan
from connectors.sandbox.serving.subscriptions import Publication, Seen, Subscription, data_frame
from connectors.sandbox.serving.websocket import StreamSession


class Muting:
    """A session that mutes what a plan of faults says; no socket."""

    def __init__(self) -> None:
        self.faults = FaultPlan(random.Random(1), lambda: 0)

    def is_muted(self, target: Mapping[str, str]) -> bool:
        return self.faults.take("mute", **target) is not None


@pytest.fixture
def session() -> Any:
    return cast(StreamSession, Muting())


def reached(publication: Publication, subscriptions: list[Subscription], seen: Seen, session: Any) -> list[int]:
    """The numbers of the subscriptions that get a publication."""
    return [one.sid for one in publication.audience(subscriptions, seen, session=session)]


def test_publication_when_sent_then_only_its_channel_and_those_who_want_its_market_get_it(session: Any) -> None:
    wanting = [Subscription(1, "book", ["A"]), Subscription(2, "book", ["B"]), Subscription(3, "book")]
    others = [Subscription(4, "trades", ["A"])]
    assert reached(Publication("book", "delta", {}, "A"), wanting + others, None, session) == [1, 3]
    assert reached(Publication("book", "status", {}), wanting + others, None, session) == [1, 2, 3]


@pytest.mark.parametrize(("seen", "numbers"), [(None, [1]), (frozenset({"m"}), [1]), (frozenset({"m/1"}), [])])
def test_publication_when_it_is_of_an_account_then_only_who_may_see_it_gets_it(
    seen: Seen, numbers: list[int], session: Any
) -> None:
    assert reached(Publication("orders", "order", {}, "A", "m"), [Subscription(1, "orders")], seen, session) == numbers


def test_publication_when_muted_then_it_takes_no_number(session: Any) -> None:
    session.faults.add({"kind": "mute", "match": {"channel": "book", "market": "A"}})
    subscription = Subscription(1, "book")
    for _ in range(2):
        for one in Publication("book", "delta", {}, "A").audience([subscription], None, session=session):
            one.next_seq()
    assert subscription.seq == 1


def test_message_when_it_depends_on_the_subscription_then_each_gets_its_own_copy() -> None:
    publication = Publication("book", "delta", {"n": 1}, tailored=lambda one, seen: {"deep": "deep" in one.choices})
    plain, deep = Subscription(1, "book"), Subscription(2, "book", choices=frozenset({"deep"}))
    assert [publication.message_for(one, None)["deep"] for one in (plain, deep)] == [False, True]
    publication.message_for(plain, None)["n"] = 2
    assert publication.message["n"] == 1


def test_markets_when_added_and_dropped_then_only_new_ones_are_named_and_all_stays_all() -> None:
    some, everything = Subscription(1, "book", ["A"]), Subscription(2, "book")
    assert (some.add(["A", "B", "B"]), some.drop(["A"]), some.markets) == (["B"], True, ["B"])
    assert (everything.add(["A"]), everything.drop(["A"]), everything.markets) == ([], False, None)


def test_frame_when_it_has_a_number_then_a_gap_may_leave_it_out() -> None:
    subscription = Subscription(1, "book")
    frames = [data_frame(one, subscription, kind="delta", market="A") for one in ({"seq": 1}, {})]
    assert [(one.is_data, one.is_numbered) for one in frames] == [(True, True), (True, False)]
    assert frames[0].target == {"type": "delta", "channel": "book", "market": "A"}
