"""A stream whose changes name the change before them, where a whole book comes by subscribing again only."""

from __future__ import annotations

import asyncio
from typing import Any

from connectors.client.book_sync import OLDER_MAX, PreviousTracker, Step
from framework.domain.instruments import instrument_id
from framework.domain.market_events import BookLevel, BookSnapshot, BookStale
from tests.connectors.client.streamed_venues import StreamRig, chained
from tests.connectors.support import run_jumping

A, B = instrument_id("tide", "A"), instrument_id("tide", "B")


def play(act: Any, *symbols: str) -> StreamRig:
    played: StreamRig = run_jumping(lambda clock: chained(clock, act, *symbols))
    return played


def asked(rig: StreamRig) -> list[tuple[str, str]]:
    return [(one["op"], one["channels"][0]["pair"]) for one in rig.connections[0].commands]


def kinds(rig: StreamRig) -> list[tuple[type, str]]:
    wanted = (BookSnapshot, BookLevel, BookStale)
    return [(type(event), event.instrument) for event in rig.events if isinstance(event, wanted)]


def test_stream_when_nothing_is_ever_acknowledged_then_it_is_up_once_it_has_asked() -> None:
    async def act(_rig: StreamRig) -> None:
        await asyncio.sleep(1)

    assert play(act).statuses[0] == (True, "subscribed")


def test_changes_when_each_follows_the_last_then_they_are_used_and_a_copy_is_not() -> None:
    async def act(rig: StreamRig) -> None:
        rig.snapshot("A", 1_000)
        rig.change("A", 1_001)
        rig.change("A", 1_001)
        rig.change("A", 1_000)
        rig.change("A", 1_005, previous=1_001)
        rig.events = [event for event in rig.events if isinstance(event, BookLevel)]
        assert [event.size for event in rig.events if isinstance(event, BookLevel)] == [1_001, 1_005]

    play(act, "A")


def test_gap_when_a_change_is_missing_then_its_book_alone_is_stale_and_subscribed_again() -> None:
    async def act(rig: StreamRig) -> None:
        rig.snapshot("A", 10)
        rig.snapshot("B", 20)
        rig.connections[0].commands.clear()
        rig.change("A", 12)
        rig.change("A", 13)
        rig.change("B", 21)
        assert asked(rig) == [("unsubscribe", "A"), ("subscribe", "A")]
        rig.snapshot("A", 15)
        rig.change("A", 16)
        assert kinds(rig) == [
            (BookSnapshot, A),
            (BookSnapshot, B),
            (BookStale, A),
            (BookLevel, B),
            (BookSnapshot, A),
            (BookLevel, A),
        ]
        assert rig.counts.gaps == 1

    play(act)


def test_gap_when_it_comes_again_and_again_then_the_book_is_asked_for_less_and_less_and_the_other_goes_on() -> None:
    async def act(rig: StreamRig) -> None:
        rig.snapshot("B", 0)
        for number in range(1, 600):
            rig.snapshot("A", 1_000 * number)
            rig.change("A", 1_000 * number + 5)
            rig.change("B", number)
            await asyncio.sleep(0.1)
        assert 1 <= asked(rig).count(("unsubscribe", "A")) <= 7
        assert ("unsubscribe", "B") not in asked(rig)
        assert kinds(rig).count((BookLevel, B)) == 599
        assert len(rig.connections) == 1

    play(act)


def test_book_when_it_is_quiet_for_long_then_it_is_asked_for_and_the_busy_one_is_not() -> None:
    async def act(rig: StreamRig) -> None:
        rig.snapshot("A", 1)
        rig.snapshot("B", 1)
        for number in range(2, 40):
            await asyncio.sleep(0.5)
            rig.change("B", number)
        assert asked(rig).count(("unsubscribe", "A")) == 1
        assert ("unsubscribe", "B") not in asked(rig)

    play(act)


def test_book_when_it_contradicts_itself_then_it_is_stale_and_subscribed_again() -> None:
    async def act(rig: StreamRig) -> None:
        rig.snapshot("A", 1)
        rig.stream.resync("A")
        rig.change("A", 2)
        assert kinds(rig) == [(BookSnapshot, A), (BookStale, A)]
        assert asked(rig)[-2:] == [("unsubscribe", "A"), ("subscribe", "A")]

    play(act, "A")


def test_chain_when_it_is_observed_then_a_change_before_any_snapshot_or_after_a_gap_is_a_gap() -> None:
    chain = PreviousTracker()
    assert chain.observe("A", 2, 1) is Step.GAP
    chain.begin("A", 5)
    assert [chain.observe("A", 6, 5), chain.observe("A", 8, 7), chain.observe("A", 9, 8)] == [
        Step.NEXT,
        Step.GAP,
        Step.GAP,
    ]
    chain.begin("A", 9)
    assert [chain.observe("A", 9, 8), chain.observe("A", 10, 9)] == [Step.REPEATED, Step.NEXT]


def test_chain_when_the_venue_counts_anew_then_that_is_a_gap_after_some_older_changes_and_copies_are_none() -> None:
    chain = PreviousTracker()
    chain.begin("A", 10_000)
    found = [chain.observe("A", number, number - 1) for number in range(1, OLDER_MAX + 2)]
    assert found == [Step.REPEATED] * (OLDER_MAX - 1) + [Step.GAP] * 2
    chain.begin("A", 30)
    for number in range(31, 90):
        assert [chain.observe("A", number, number - 1), chain.observe("A", number, number - 1)] == [
            Step.NEXT,
            Step.REPEATED,
        ]
