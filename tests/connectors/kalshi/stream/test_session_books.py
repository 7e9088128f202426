"""How fresh the books of a session are: heartbeats, quiet books, and snapshots asked for again."""

from __future__ import annotations

from connectors.kalshi.stream.commands import BOOK, LIFECYCLE, TRADE
from framework.domain.market_events import BookDelta, BookSnapshot, BookStale, ConnectorStatus, Heartbeat, TradePrint
from tests.connectors.kalshi.stream.session_rig import OTHER, SIDS, Rig
from tests.connectors.kalshi.stream.test_session import PROBE, asked_for
from tests.connectors.kalshi.support import TICKER


def test_heartbeat_when_frames_of_books_come_then_it_is_reported_at_most_once_a_second(running: Rig) -> None:
    for _ in range(3):
        running.delta(delta_fp="1.00")
    assert running.take(Heartbeat) == []
    running.pass_time(1)
    running.delta(sending_ts_ms=5)
    running.delta()
    assert [event.ts_recv for event in running.take(Heartbeat) if isinstance(event, Heartbeat)] == [
        running.clock.now_ns()
    ]


def test_heartbeat_when_only_other_channels_and_answers_come_then_the_books_grow_older(running: Rig) -> None:
    running.pass_time(2)
    probe = running.commands[-1]["id"]
    running.receive({"type": "ok", "id": probe, "msg": []})
    trade = {"market_ticker": TICKER, "trade_id": "t1", "yes_price_dollars": "0.4700", "no_price_dollars": "0.5300"}
    running.numbered("trade", TRADE, trade | {"count_fp": "1.00", "taker_side": "yes", "ts_ms": 5})
    running.numbered("market_lifecycle_v2", LIFECYCLE, {"market_ticker": TICKER, "event_type": "a_new_word"})
    assert [type(event) for event in running.take(TradePrint, Heartbeat)] == [TradePrint]
    running.delta()
    assert len(running.take(Heartbeat)) == 1


def test_heartbeat_when_a_quiet_book_is_asked_for_then_its_answer_is_one(running: Rig) -> None:
    for _ in range(30):
        running.pass_time(2)
        asked = running.last_commands()
        assert asked[0] == asked_for(TICKER)
        running.snapshot()
        assert len(running.take(Heartbeat)) == 1
        if asked[1:] == [PROBE]:
            running.receive({"type": "ok", "id": running.session.subscriptions._next_id - 1, "msg": []})


def test_quiet_books_when_one_does_not_answer_then_the_next_is_asked_for_and_stays_so() -> None:
    rig = Rig(TICKER, OTHER)
    rig.acknowledge_all()
    rig.snapshot()
    rig.snapshot(OTHER)
    asked = []
    for is_answered in (False, True, True, False, True):
        rig.commands.clear()
        rig.pass_time(2)
        (ticker,) = rig.commands[0]["params"]["market_tickers"]
        asked.append(ticker)
        for probe in rig.commands[1:]:
            rig.receive({"type": "ok", "id": probe["id"], "msg": []})
        if is_answered:
            rig.snapshot(ticker)
    assert asked == [TICKER, OTHER, OTHER, OTHER, TICKER]


def test_quiet_books_when_changes_were_swallowed_then_the_answer_shows_the_gap(running: Rig) -> None:
    running.seq[SIDS[BOOK]] += 3
    running.pass_time(2)
    running.last_commands()
    running.snapshot()
    assert len(running.take(BookStale)) == 1
    assert running.last_commands() == [asked_for(TICKER)]


def test_session_when_closed_then_books_are_stale_and_the_venue_is_down(running: Rig) -> None:
    running.session.close("the connection was lost", ts_recv=7)
    stale, down = running.take(BookStale, ConnectorStatus)
    assert isinstance(stale, BookStale)
    assert stale.reason == "the connection was lost"
    assert down == ConnectorStatus("kalshi", False, "the connection was lost", 7)


def test_resync_when_a_book_contradicts_itself_then_its_snapshot_is_asked_for_and_nothing_is_used_until_then(
    running: Rig,
) -> None:
    now_ns = running.clock.monotonic_ns()
    running.session.resync(TICKER, ts_recv=7, now_ns=now_ns)
    assert running.last_commands() == [
        ("update_subscription", {"sids": [SIDS[BOOK]], "action": "get_snapshot", "market_tickers": [TICKER]})
    ]
    running.delta()
    (stale,) = running.take(BookStale, BookDelta)
    assert isinstance(stale, BookStale)
    running.snapshot()
    running.delta()
    assert [type(event) for event in running.take(BookSnapshot, BookDelta)] == [BookSnapshot, BookDelta]


def test_resync_when_asked_again_then_once_a_second_is_enough_and_none_while_one_is_under_way(running: Rig) -> None:
    asked = []
    for seconds in (0, 0.9, 0.1, 1):
        running.pass_time(seconds)
        if seconds < 1:
            running.snapshot()
        running.session.resync(TICKER, ts_recv=7, now_ns=running.clock.monotonic_ns())
        asked.append(len(running.last_commands()))
    assert asked == [1, 0, 1, 0]


def test_resync_when_its_snapshot_does_not_come_then_the_channel_is_subscribed_anew(running: Rig) -> None:
    running.session.resync(TICKER, ts_recv=7, now_ns=running.clock.monotonic_ns())
    running.commands.clear()
    running.pass_time(5)
    assert [name for name, _ in running.last_commands()][:2] == ["unsubscribe", "subscribe"]


def test_resync_when_the_market_is_not_streamed_then_nothing_happens() -> None:
    rig = Rig(TICKER)
    rig.commands.clear()
    for ticker in (TICKER, OTHER):
        rig.session.resync(ticker, ts_recv=7, now_ns=rig.clock.monotonic_ns())
    assert (rig.last_commands(), rig.take(BookStale)) == ([], [])
