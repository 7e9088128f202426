"""Commands and acknowledgements."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.client.subscriptions import Subscriptions
from connectors.kalshi.stream.commands import BOOK, CHANNELS, FILL, TRADE, encode_command

SECOND = 1_000_000_000


def desk(*channels: str) -> tuple[Subscriptions, list[dict[str, Any]]]:
    sent: list[dict[str, Any]] = []
    asked = [CHANNELS[name] for name in channels]
    return Subscriptions(asked, lambda data: sent.append(msgspec.json.decode(data)), encode_command), sent


def test_sync_when_nothing_runs_then_each_channel_is_asked_for_by_its_own_command() -> None:
    subscriptions, sent = desk(FILL, BOOK, TRADE)
    assert subscriptions.sync(["A", "B"], now_ns=0) == ("A", "B")
    assert sent == [
        {"id": 1, "cmd": "subscribe", "params": {"channels": ["fill"]}},
        {
            "id": 2,
            "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta"], "market_tickers": ["A", "B"], "use_yes_price": True},
        },
        {"id": 3, "cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": ["A", "B"]}},
    ]
    assert subscriptions.sync(["A", "B"], now_ns=1) == ()
    assert len(sent) == 3


def test_sync_when_there_are_no_markets_then_market_channels_wait_for_the_first() -> None:
    subscriptions, sent = desk(FILL, BOOK)
    subscriptions.sync([], now_ns=0)
    assert [command["params"]["channels"] for command in sent] == [["fill"]]
    assert subscriptions.sync(["A"], now_ns=1) == ("A",)


def test_sync_when_markets_are_new_then_they_are_added_once_the_channel_runs() -> None:
    subscriptions, sent = desk(BOOK)
    subscriptions.sync(["A"], now_ns=0)
    assert subscriptions.sync(["A", "B"], now_ns=1) == ()
    assert subscriptions.acknowledge(1, BOOK, 7) is not None
    assert subscriptions.sync(["A", "B"], now_ns=2) == ("B",)
    assert sent[-1] == {
        "id": 2,
        "cmd": "update_subscription",
        "params": {"sids": [7], "action": "add_markets", "market_tickers": ["B"]},
    }
    assert subscriptions.sync(["A", "B"], now_ns=3) == ()


def test_sync_when_markets_are_not_wanted_any_more_then_they_are_taken_off_but_for_the_last_one() -> None:
    subscriptions, sent = desk(BOOK)
    subscriptions.sync(["A", "B"], now_ns=0)
    subscriptions.acknowledge(1, BOOK, 7)
    subscriptions.sync(["B"], now_ns=1)
    assert sent[-1]["params"] == {"sids": [7], "action": "delete_markets", "market_tickers": ["A"]}
    subscriptions.sync([], now_ns=2)
    assert len(sent) == 2
    subscriptions.sync(["C"], now_ns=3)
    assert [one["params"]["action"] for one in sent[2:]] == ["add_markets", "delete_markets"]


def test_sync_when_a_channel_ended_then_it_is_asked_for_again_a_second_after_the_last_time() -> None:
    subscriptions, sent = desk(FILL)
    subscriptions.sync([], now_ns=0)
    subscriptions.acknowledge(1, FILL, 4)
    assert subscriptions.is_live({FILL})
    assert subscriptions.ended(FILL) == 4
    subscriptions.sync([], now_ns=SECOND - 1)
    assert (len(sent), subscriptions.is_live({FILL}), subscriptions.channels.get(4, "")) == (1, False, "")
    subscriptions.sync([], now_ns=SECOND)
    assert len(sent) == 2


def test_acknowledgement_when_nobody_asked_then_it_is_not_taken() -> None:
    subscriptions, _ = desk(FILL)
    subscriptions.sync([], now_ns=0)
    assert subscriptions.acknowledge(9, FILL, 4) is None
    assert subscriptions.acknowledge(1, BOOK, 4) is None
    assert subscriptions.acknowledge(1, FILL, 4) is not None


def test_pending_when_answered_then_the_oldest_one_left_counts() -> None:
    subscriptions, _ = desk(FILL)
    subscriptions.sync([], now_ns=5)
    subscriptions.probe(now_ns=9)
    assert subscriptions.oldest_pending_ns() == 5
    subscriptions.complete(1)
    assert subscriptions.oldest_pending_ns() == 9
    subscriptions.complete(2)
    assert subscriptions.oldest_pending_ns() is None


def test_drop_when_the_channel_runs_then_it_is_unsubscribed_and_its_frames_are_stray() -> None:
    subscriptions, sent = desk(BOOK)
    subscriptions.sync(["A"], now_ns=0)
    subscriptions.acknowledge(1, BOOK, 7)
    subscriptions.drop(BOOK)
    assert sent[-1] == {"id": 2, "cmd": "unsubscribe", "params": {"sids": [7]}}
    subscriptions.get_snapshot(["A"])
    assert len(sent) == 2
