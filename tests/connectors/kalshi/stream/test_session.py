"""One stream connection, frame by frame."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from connectors.client.session import StreamBroken
from connectors.kalshi.stream.commands import BOOK, FILL, GROUPS, LIFECYCLE, TRADE
from framework.domain.account_events import Fill, InstrumentStatusChanged, OrderSnapshot
from framework.domain.market_events import BookDelta, BookSnapshot, BookStale, ConnectorStatus, Heartbeat, TradePrint
from tests.connectors.kalshi.stream.session_rig import OTHER, SIDS, Rig
from tests.connectors.kalshi.support import FEES, TICKER, define, market
from tests.connectors.support import START_NS


def test_status_when_every_channel_is_acknowledged_then_the_venue_is_up_and_not_before() -> None:
    rig = Rig(TICKER)
    first, *others = rig.commands
    rig.receive({"type": "subscribed", "id": first["id"], "msg": {"channel": FILL, "sid": 1}})
    assert rig.take(ConnectorStatus) == []
    rig.commands = others
    rig.acknowledge_all()
    (status,) = rig.take(ConnectorStatus)
    assert isinstance(status, ConnectorStatus)
    assert status.is_up


def test_lifecycle_when_subscribed_then_what_changed_before_is_read(running: Rig) -> None:
    assert running.refreshes == 1


def test_delta_when_it_comes_before_any_snapshot_then_it_is_dropped() -> None:
    rig = Rig(TICKER)
    rig.acknowledge_all()
    rig.delta()
    assert (rig.take(BookDelta), rig.counts.strays) == ([], 1)


def test_delta_when_the_book_is_proved_then_it_is_published(running: Rig) -> None:
    running.delta()
    (delta,) = running.take(BookDelta)
    assert isinstance(delta, BookDelta)
    assert (delta.price, delta.change, delta.ts_recv) == (4700, 100, START_NS)


def test_gap_when_a_frame_is_missing_then_every_book_is_stale_until_its_own_snapshot() -> None:
    rig = Rig(TICKER, OTHER)
    rig.acknowledge_all()
    rig.snapshot(TICKER)
    rig.snapshot(OTHER)
    rig.events.clear()
    rig.commands.clear()
    rig.delta(skip=1)
    assert [event.instrument for event in rig.events if isinstance(event, BookStale)] == [
        f"kalshi:{TICKER}",
        f"kalshi:{OTHER}",
    ]
    assert rig.take(BookDelta) == []
    assert rig.last_commands() == [
        ("update_subscription", {"sids": [5], "action": "get_snapshot", "market_tickers": [TICKER, OTHER]})
    ]
    rig.snapshot(OTHER)
    rig.delta(TICKER)
    rig.delta(OTHER)
    kinds = [(type(event), event.instrument) for event in rig.events if not isinstance(event, Heartbeat)]  # type: ignore[union-attr]
    assert kinds == [(BookSnapshot, f"kalshi:{OTHER}"), (BookDelta, f"kalshi:{OTHER}")]
    assert rig.counts.gaps == 1


def test_frame_when_it_comes_twice_then_it_counts_once(running: Rig) -> None:
    running.delta()
    running.seq[SIDS[BOOK]] -= 1
    running.delta()
    assert (len(running.take(BookDelta)), running.counts.repeated, running.counts.gaps) == (1, 1, 0)


def test_replies_when_they_take_a_number_then_there_is_no_gap(running: Rig) -> None:
    running.numbered("ok", BOOK, {"market_tickers": [TICKER]}, id=99)
    running.numbered("error", BOOK, {"code": 13, "msg": "Unsupported action"}, id=98)
    running.numbered("a_new_type", BOOK, {})
    running.delta()
    assert (running.counts.gaps, len(running.take(BookDelta))) == (0, 1)


def test_book_frame_when_unreadable_then_the_book_is_stale_and_asked_for_again(running: Rig) -> None:
    running.delta(price_dollars="a lot")
    assert len(running.take(BookStale)) == 1
    assert running.last_commands()[0][1]["action"] == "get_snapshot"
    running.snapshot()
    running.numbered("orderbook_delta", BOOK, {"market_ticker": TICKER, "price": 47})
    assert len(running.take(BookStale)) == 1
    assert running.counts.unreadable == 2


def test_frames_when_they_can_not_be_read_again_and_again_then_the_log_has_the_first_second_fourth_of_each_kind(
    running: Rig,
) -> None:
    with structlog.testing.capture_logs() as logged:
        for _ in range(5):
            running.numbered("trade", TRADE, {"market_ticker": TICKER})
        running.numbered("ticker", TRADE, {})
    assert [(line["kind"], line["count"]) for line in logged] == [
        ("trade", 1),
        ("trade", 2),
        ("trade", 4),
        ("ticker", 1),
    ]
    assert "trade_id" in logged[0]["reason"]


def test_books_when_no_snapshot_comes_then_the_channel_is_subscribed_anew_and_then_the_connection_ends(
    running: Rig,
) -> None:
    running.delta(skip=3)
    running.last_commands()
    running.pass_time(5)
    commands = running.last_commands()
    assert [name for name, _ in commands] == ["unsubscribe", "subscribe"]
    assert commands[1][1]["channels"] == [BOOK]
    with pytest.raises(StreamBroken, match="no book came"):
        running.pass_time(5)


def test_books_when_one_market_has_none_then_it_stays_stale_is_asked_for_less_and_less_and_the_others_go_on() -> None:
    rig = Rig(TICKER, OTHER)
    rig.acknowledge_all()
    rig.snapshot(TICKER)
    rig.events.clear()
    rig.commands.clear()
    for _ in range(240):
        rig.pass_time(0.5)
        for probe in [one for one in rig.commands if one["cmd"] == "list_subscriptions"]:
            rig.receive({"type": "ok", "id": probe["id"], "msg": []})
        rig.delta("another")
    rig.delta(TICKER)
    rig.delta(OTHER)
    assert {type(event) for event in rig.take(BookDelta, BookStale) if event.instrument != f"kalshi:{OTHER}"} == {  # type: ignore[union-attr]
        BookDelta
    }
    assert [command["cmd"] for command in rig.commands if command["cmd"] == "subscribe"] == []
    asked = [one["params"]["market_tickers"] for one in rig.commands if one["cmd"] == "update_subscription"]
    assert set(map(tuple, asked)) == {(OTHER,)}
    assert 6 <= len(asked) <= 9


def test_channel_when_ended_by_the_venue_then_it_is_asked_for_again_politely(running: Rig) -> None:
    for code in (10, 25):
        running.numbered("error", BOOK, {"code": code, "msg": "ended"})
        assert len(running.take(BookStale)) == 1
        running.pass_time(1)
        (command,) = running.commands
        running.commands.clear()
        assert (command["cmd"], command["params"]["channels"]) == ("subscribe", [BOOK])
        running.receive({"type": "subscribed", "id": command["id"], "msg": {"channel": BOOK, "sid": SIDS[BOOK]}})
        running.seq[SIDS[BOOK]] = 0
        running.snapshot()
        assert len(running.take(BookSnapshot)) == 1


def test_channel_when_own_fills_end_then_the_venue_is_down_until_they_run_again(running: Rig) -> None:
    running.receive({"type": "error", "sid": SIDS[FILL], "msg": {"code": 25, "msg": "buffer overflow"}})
    (down,) = running.take(ConnectorStatus)
    assert isinstance(down, ConnectorStatus)
    assert not down.is_up
    assert "fill" in down.reason
    running.pass_time(1)
    (command,) = running.commands
    running.receive({"type": "subscribed", "id": command["id"], "msg": {"channel": FILL, "sid": 9}})
    (up,) = running.take(ConnectorStatus)
    assert isinstance(up, ConnectorStatus)
    assert up.is_up


def test_terminal_error_when_it_names_no_subscription_then_the_connection_ends(running: Rig) -> None:
    with pytest.raises(StreamBroken, match="does not say which"):
        running.receive({"type": "error", "msg": {"code": 10, "msg": "Channel error"}})


def test_subscription_when_refused_then_an_optional_channel_is_given_up_and_a_needed_one_ends_the_connection() -> None:
    rig = Rig(TICKER)
    ids = {command["params"]["channels"][0]: command["id"] for command in rig.commands}
    rig.receive({"type": "error", "id": ids[GROUPS], "msg": {"code": 8, "msg": "Unknown channel name"}})
    with pytest.raises(StreamBroken, match="refused the fill channel"):
        rig.receive({"type": "error", "id": ids[FILL], "msg": {"code": 9, "msg": "Authentication required"}})


def test_command_when_not_answered_in_time_then_the_connection_ends() -> None:
    rig = Rig(TICKER)
    rig.pass_time(9)
    with pytest.raises(StreamBroken, match="did not answer"):
        rig.pass_time(1)


def asked_for(ticker: str) -> tuple[str, dict[str, Any]]:
    """The command that asks for a book."""
    return ("update_subscription", {"sids": [SIDS[BOOK]], "action": "get_snapshot", "market_tickers": [ticker]})


PROBE: tuple[str, dict[str, Any]] = ("list_subscriptions", {})


def test_stream_when_its_books_are_quiet_then_one_is_asked_for_and_an_unanswered_probe_ends_it(running: Rig) -> None:
    running.pass_time(1.9)
    assert running.last_commands() == []
    running.pass_time(0.1)
    assert running.last_commands() == [asked_for(TICKER), PROBE]
    running.pass_time(9.9)
    assert PROBE not in running.last_commands()
    with pytest.raises(StreamBroken, match="did not answer"):
        running.pass_time(0.1)


def test_stream_when_its_books_are_busy_then_it_is_probed_now_and_then(running: Rig) -> None:
    for _ in range(19):
        running.pass_time(0.5)
        running.delta()
    assert running.last_commands() == []
    running.pass_time(0.5)
    assert running.last_commands() == [PROBE]


@pytest.mark.parametrize(
    "frame",
    [
        b"not json",
        b"[]",
        b"\xff\xfe",
        {"type": "fill", "sid": 1, "msg": {"trade_id": "t"}},
        {"type": "user_order", "sid": 2, "msg": {"order_id": "o"}},
        {"type": "market_position", "sid": 2, "msg": {"market_ticker": TICKER, "position_fp": "many"}},
    ],
)
def test_message_when_own_fills_or_orders_may_be_lost_with_it_then_the_account_is_compared_and_books_stay_fresh(
    running: Rig, frame: dict[str, Any] | bytes
) -> None:
    running.receive(frame)
    running.delta()
    status, delta = running.take(ConnectorStatus, BookStale, BookDelta)
    assert isinstance(status, ConnectorStatus)
    assert (status.is_up, type(delta)) == (True, BookDelta)
    assert "can't be read" in status.reason or "no frame" in status.reason


def test_account_when_its_frames_are_unreadable_all_the_time_then_it_is_compared_at_its_turns(running: Rig) -> None:
    compared = []
    for second in range(40):
        for _ in range(10):
            running.receive(fill(yes_price_dollars="much"))
        compared += [second] * len(running.take(ConnectorStatus))
        for command in running.last_commands():
            if command == PROBE:
                running.receive({"type": "ok", "id": running.session.subscriptions._next_id - 1, "msg": []})
        running.pass_time(1)
        running.snapshot()
    assert compared == [0, 1, 3, 7, 15, 31]


def fill(**changes: Any) -> dict[str, Any]:
    msg = {
        "trade_id": "t",
        "order_id": "o",
        "client_order_id": "c",
        "market_ticker": TICKER,
        "is_taker": True,
        "yes_price_dollars": "0.7500",
        "count_fp": "2.00",
        "fee_cost": "0.010000",
        "book_side": "bid",
        "ts_ms": 1,
    }
    return {"type": "fill", "sid": 1, "msg": msg | changes}


def test_fill_when_in_a_market_that_is_not_known_then_it_is_published_and_the_market_read(running: Rig) -> None:
    running.receive(fill(market_ticker="KXELSE-1-A"))
    (event,) = running.take(Fill)
    assert isinstance(event, Fill)
    assert event.instrument == "kalshi:KXELSE-1-A"
    assert running.fetched == ["KXELSE-1-A"]


def test_account_frames_when_of_another_subaccount_then_they_are_not_ours() -> None:
    rig = Rig(TICKER, subaccount=3)
    rig.acknowledge_all()
    rig.receive(fill(subaccount=4))
    rig.receive(fill(subaccount=3))
    assert len(rig.take(Fill)) == 1


def test_order_when_its_status_is_new_then_it_is_counted_and_published(running: Rig) -> None:
    msg = {
        "order_id": "o",
        "ticker": TICKER,
        "status": "unknown",
        "book_side": "ask",
        "yes_price_dollars": "0.3500",
        "fill_count_fp": "0.00",
        "remaining_count_fp": "10.00",
        "initial_count_fp": "10.00",
    }
    running.receive({"type": "user_order", "sid": 2, "msg": msg})
    (event,) = running.take(OrderSnapshot)
    assert isinstance(event, OrderSnapshot)
    assert event.is_open
    assert running.counts.unknown_values == {"user_order.status=unknown": 1}


def test_trade_when_of_a_followed_market_then_it_is_published(running: Rig) -> None:
    msg = {
        "trade_id": "t",
        "market_ticker": TICKER,
        "yes_price_dollars": "0.3600",
        "count_fp": "1.00",
        "taker_book_side": "ask",
    }
    running.numbered("trade", TRADE, msg)
    running.numbered("trade", TRADE, msg | {"market_ticker": "KXELSE-1-A"})
    assert (len(running.take(TradePrint)), running.counts.strays) == (1, 1)


def test_lifecycle_when_a_market_settles_then_what_it_pays_is_read(running: Rig) -> None:
    running.numbered("market_lifecycle_v2", LIFECYCLE, {"market_ticker": TICKER, "event_type": "determined"})
    running.numbered("market_lifecycle_v2", LIFECYCLE, {"market_ticker": TICKER, "event_type": "settled"})
    assert running.fetched == [TICKER]


def test_lifecycle_when_frames_are_missing_or_odd_then_markets_are_read_anew(running: Rig) -> None:
    msg = {"market_ticker": TICKER, "event_type": "deactivated"}
    running.numbered("market_lifecycle_v2", LIFECYCLE, msg)
    assert len(running.take(InstrumentStatusChanged)) == 1
    running.numbered("market_lifecycle_v2", LIFECYCLE, msg, skip=2)
    assert running.refreshes == 2
    running.numbered("market_lifecycle_v2", LIFECYCLE, msg | {"event_type": "a_new_word"})
    assert running.counts.unknown_values == {"market_lifecycle_v2.event_type=a_new_word": 1}


def test_market_when_newly_followed_then_it_is_added_and_unproved(running: Rig) -> None:
    define(running.registry, market(OTHER), FEES, ts_recv=1)
    running.registry.follow([OTHER])
    running.session.follow_new()
    assert [params["market_tickers"] for _, params in running.last_commands()] == [[OTHER], [OTHER]]
    running.delta(OTHER)
    assert running.take(BookDelta) == []
    running.snapshot(OTHER)
    running.delta(OTHER)
    assert len(running.take(BookSnapshot, BookDelta)) == 2
