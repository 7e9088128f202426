"""Frames of books that can't be read: what they make stale, what is asked for, and what goes on."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from connectors.kalshi.stream.commands import BOOK, LIFECYCLE
from framework.domain.account_events import AccountEvent
from framework.domain.market_events import BookDelta, BookStale, ConnectorStatus, MarketEvent
from framework.state.books import Books
from tests.connectors.kalshi.stream.session_rig import OTHER, SIDS, Rig
from tests.connectors.kalshi.support import TICKER

LEVELS = {"yes_dollars_fp": [["0.4700", "3.00"]], "no_dollars_fp": [["0.5200", "2.00"]]}
UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("orderbook_snapshot", LEVELS | {"yes_dollars_fp": [["0.12345", "3.00"]]}),
    ("orderbook_snapshot", LEVELS | {"yes_dollars_fp": [["0.4700", "10.005"]]}),
    ("orderbook_snapshot", LEVELS | {"yes_dollars_fp": None}),
    ("orderbook_snapshot", LEVELS | {"no_dollars_fp": [[0.52, "2.00"]]}),
    ("orderbook_snapshot", LEVELS | {"no_dollars_fp": [["0.5200"]]}),
    ("orderbook_snapshot", LEVELS | {"no_dollars_fp": [["0.5200", "9" * 30]]}),
    ("orderbook_delta", {"price_dollars": "0.12345", "delta_fp": "1.00", "side": "yes"}),
    ("orderbook_delta", {"price_dollars": "0.4700", "delta_fp": "NaN", "side": "yes"}),
    ("orderbook_delta", {"price_dollars": "0.4700", "delta_fp": "1.00", "side": None}),
    ("orderbook_delta", {"price_dollars": "0.4700", "delta_fp": 1, "side": "yes"}),
    ("orderbook_delta", {"price_dollars": "0.4700", "delta_fp": "1.00", "side": "yes", "ts_ms": 2**62}),
    ("orderbook_patch", {"price_dollars": "0.4700"}),
]


def two_books() -> Rig:
    """Both books are proved."""
    rig = Rig(TICKER, OTHER)
    rig.acknowledge_all()
    rig.snapshot()
    rig.snapshot(OTHER)
    rig.events.clear()
    rig.commands.clear()
    return rig


def stale(rig: Rig) -> set[str]:
    return {event.instrument for event in rig.take(BookStale) if isinstance(event, BookStale)}


def asked(rig: Rig) -> list[list[str]]:
    return [one["params"]["market_tickers"] for one in rig.commands if "get_snapshot" in str(one["params"])]


@pytest.mark.parametrize(("kind", "msg"), UNREADABLE)
def test_frame_when_it_can_not_be_read_then_only_its_book_is_stale_and_the_next_number_is_no_gap(
    kind: str, msg: dict[str, Any]
) -> None:
    rig = two_books()
    rig.numbered(kind, BOOK, {"market_ticker": TICKER} | msg)
    assert stale(rig) == {f"kalshi:{TICKER}"}
    assert asked(rig) == [[TICKER]]
    rig.delta(OTHER)
    assert [type(event) for event in rig.take(BookDelta, BookStale)] == [BookDelta]
    rig.snapshot()
    rig.delta()
    assert len(rig.take(BookDelta)) == 1
    assert rig.counts.gaps == 0


@pytest.mark.parametrize(("kind", "msg"), UNREADABLE[:6])
def test_book_when_no_snapshot_of_it_can_be_read_then_it_is_asked_for_at_its_turns_and_the_other_trades_on(
    kind: str, msg: dict[str, Any]
) -> None:
    """The venue answers each request, and sends a thousand more such frames in a second."""
    rig = two_books()
    times: list[int] = []
    for tenth in range(1_400):
        for _ in range(100 if tenth < 140 else 1):
            rig.numbered(kind, BOOK, {"market_ticker": TICKER} | msg)
        rig.delta(OTHER)
        for probe in [one for one in rig.commands if one["cmd"] == "list_subscriptions"]:
            rig.receive({"type": "ok", "id": probe["id"], "msg": []})
        times += [tenth // 10] * len(asked(rig))
        rig.commands.clear()
        rig.pass_time(0.1)
    events = rig.take(BookDelta, BookStale)
    assert times == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    assert len([event for event in events if isinstance(event, BookDelta)]) == 1_400
    # One when it goes stale, and one with each snapshot that was asked for and is as bad.
    assert {event.instrument for event in events if isinstance(event, BookStale)} == {f"kalshi:{TICKER}"}
    assert len([event for event in events if isinstance(event, BookStale)]) <= len(times) + 1


def test_snapshot_when_its_market_can_not_be_told_then_no_book_is_stale(
    running: Rig,
) -> None:
    running.numbered("orderbook_snapshot", BOOK, LEVELS | {"market_ticker": 7})
    running.delta()
    assert [type(event) for event in running.take(BookDelta, BookStale)] == [BookDelta]


def test_change_when_its_market_can_not_be_told_then_every_book_is_stale_and_asked_for_once() -> None:
    rig = two_books()
    for _ in range(50):
        rig.numbered("orderbook_delta", BOOK, {"market_ticker": None, "price_dollars": "0.4700"})
    assert len(rig.take(BookStale)) == 4  # each when it was fresh, and each while its snapshot was on its way
    assert asked(rig) == [[TICKER, OTHER]]


def test_gap_when_numbers_go_wrong_all_the_time_then_each_book_is_asked_for_at_its_turns() -> None:
    rig = two_books()
    count = 0
    for _ in range(60):
        for _ in range(20):
            rig.delta(skip=1)
        count += len(asked(rig))
        rig.receive({"type": "ok", "id": rig.session.subscriptions._next_id - 1, "msg": []})
        rig.commands.clear()
        rig.snapshot()
        rig.snapshot(OTHER)
        rig.pass_time(0.5)
    assert count <= 6


def test_change_when_it_is_a_number_written_as_text_then_it_is_no_gap(running: Rig) -> None:
    running.seq[SIDS[BOOK]] += 1
    frame = {"type": "orderbook_delta", "sid": SIDS[BOOK], "seq": str(running.seq[SIDS[BOOK]])}
    running.receive(frame | {"msg": {"market_ticker": "KXELSE-1-A"}})
    running.delta()
    assert (running.counts.gaps, len(running.take(BookDelta))) == (0, 1)


def test_lifecycle_when_a_message_can_not_be_read_then_the_markets_are_read_anew(running: Rig) -> None:
    refreshes = running.refreshes
    msg = {"market_ticker": TICKER, "event_type": "close_date_updated"}
    for close_ts in ("soon", 2**50, -1, 1.5):
        running.numbered("market_lifecycle_v2", LIFECYCLE, msg | {"close_ts": close_ts})
    assert running.refreshes == refreshes + 4
    assert running.take(BookStale) == []


FRAMES: list[dict[str, Any]] = [
    {"type": "orderbook_snapshot", "sid": SIDS[BOOK], "msg": LEVELS},
    {"type": "orderbook_delta", "sid": SIDS[BOOK], "msg": UNREADABLE[8][1] | {"side": "no", "ts_ms": 5}},
    {
        "type": "trade",
        "sid": SIDS["trade"],
        "msg": {"trade_id": "t", "yes_price_dollars": "0.3600", "count_fp": "1.00", "taker_book_side": "ask"},
    },
    {
        "type": "fill",
        "sid": SIDS["fill"],
        "msg": {"trade_id": "t", "order_id": "o", "is_taker": True, "yes_price_dollars": "0.7500", "count_fp": "2.00"}
        | {"fee_cost": "0.010000", "book_side": "bid", "ts_ms": 1},
    },
    {
        "type": "user_order",
        "sid": SIDS["user_orders"],
        "msg": {"order_id": "o", "ticker": TICKER, "status": "resting", "book_side": "ask", "created_ts_ms": 4}
        | {"yes_price_dollars": "0.3500", "fill_count_fp": "0.00", "remaining_count_fp": "10.00"}
        | {"initial_count_fp": "10.00", "client_order_id": "c", "last_updated_ts_ms": 5},
    },
    {
        "type": "market_lifecycle_v2",
        "sid": SIDS[LIFECYCLE],
        "msg": {"event_type": "close_date_updated", "close_ts": 1_790_000_000},
    },
]
_ODD: list[Any] = [None, True, -1, 0, 1.5, 2**63, 2**70, 1e300, "", "x", "0.12345", "-0.00", "1e9", "9" * 40, [], {}]


def mutated(rng: random.Random, frame: dict[str, Any], *, keep: frozenset[str]) -> dict[str, Any]:
    """One to three values of the frame replaced, removed or added; those in `keep` stay."""
    frame = msgspec.json.decode(msgspec.json.encode(frame))
    for _ in range(rng.randint(1, 3)):
        place = rng.choice([frame, frame["msg"]]) if isinstance(frame.get("msg"), dict) else frame
        name = rng.choice([*place, "new"])
        if name in keep:
            continue
        if rng.random() < 0.2:
            place.pop(name, None)
        else:
            place[name] = rng.choice(_ODD)
    return frame


def next_of(rig: Rig, template: dict[str, Any]) -> dict[str, Any]:
    sid = template["sid"]
    rig.seq[sid] = rig.seq.get(sid, 0) + 1
    return template | {"seq": rig.seq[sid], "sending_ts_ms": 7, "msg": {"market_ticker": TICKER} | template["msg"]}


@pytest.mark.parametrize("seed", range(6))
def test_frames_when_their_contents_are_mutated_then_nothing_is_raised_and_the_other_book_stays_fresh(
    seed: int,
) -> None:
    rng, rig, books = random.Random(seed), two_books(), Books()
    encode = msgspec.json.Encoder().encode
    keep = frozenset({"type", "sid", "seq", "market_ticker", "msg"})
    for _ in range(600):
        rig.receive(encode(mutated(rng, next_of(rig, rng.choice(FRAMES)), keep=keep)))
        rig.delta(OTHER)
        if rng.random() < 0.2:
            rig.pass_time(0.25)
        for probe in [one for one in rig.commands if one["cmd"] == "list_subscriptions"]:
            rig.receive({"type": "ok", "id": probe["id"], "msg": []})
        rig.commands.clear()
    decoder = msgspec.msgpack.Decoder(MarketEvent | AccountEvent)
    for event in rig.events:
        assert decoder.decode(msgspec.msgpack.encode(event)) == event
        if isinstance(event, (BookDelta, BookStale)) and event.instrument == f"kalshi:{OTHER}":
            books.apply(event, 0)
            assert isinstance(event, BookDelta)


@pytest.mark.parametrize("seed", range(6))
def test_frames_when_anything_in_them_is_mutated_then_nothing_is_raised_and_every_book_comes_back(seed: int) -> None:
    rng, rig = random.Random(seed), two_books()
    for _ in range(600):
        data = msgspec.json.encode(mutated(rng, next_of(rig, rng.choice(FRAMES)), keep=frozenset()))
        if rng.random() < 0.1:
            data = data[: rng.randrange(len(data))]
        rig.receive(data)
        for probe in [one for one in rig.commands if one["cmd"] == "list_subscriptions"]:
            rig.receive({"type": "ok", "id": probe["id"], "msg": []})
        rig.commands.clear()
        if rng.random() < 0.1:
            rig.pass_time(0.25)
    for _ in range(140):
        rig.pass_time(0.25)
        for command in [one for one in rig.commands if one["cmd"] != "subscribe"]:
            rig.receive({"type": "ok", "id": command["id"], "msg": []})
        for ticker in [ticker for some in asked(rig) for ticker in some]:
            rig.snapshot(ticker)
        rig.commands.clear()
    rig.events.clear()
    rig.delta()
    rig.delta(OTHER)
    assert len(rig.take(BookDelta)) == 2
    assert not [event for event in rig.take(ConnectorStatus) if isinstance(event, ConnectorStatus) and not event.is_up]
