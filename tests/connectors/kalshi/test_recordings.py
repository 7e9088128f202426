"""Decodes a folder of recorded answers, when one is named in the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from connectors.client.counts import DecodeCounts
from connectors.kalshi.markets.instruments import instrument_of
from connectors.kalshi.rest.rate_limits import CostTable, rate_limits
from connectors.kalshi.wire import account_messages as a
from connectors.kalshi.wire import market_messages as m
from connectors.kalshi.wire import stream_messages as s
from connectors.kalshi.wire.decode_rest import rest_balance, rest_fill, rest_order_snapshot, rest_position
from connectors.kalshi.wire.decode_stream import FrameDecoder
from connectors.kalshi.wire.errors import parse_error
from tests.connectors.kalshi.support import FEES

FOLDER = os.environ.get("TIDEGATE_RECORDINGS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="set TIDEGATE_RECORDINGS to a folder of recorded answers")
FILES = sorted(Path(FOLDER).glob("*.json*")) if FOLDER else []
BODIES = [path for path in FILES if not path.name.endswith(".meta.json")]


def status_of(path: Path) -> int:
    meta = path.with_name(path.name.partition(".")[0] + ".meta.json")
    if not meta.exists():
        return 200
    status = msgspec.json.decode(meta.read_bytes()).get("status", 200)
    assert isinstance(status, int)
    return status


def read_markets(body: bytes) -> None:
    for market in msgspec.json.decode(body, type=m.MarketsPage).markets:
        instrument_of(market, venue="kalshi", fees=FEES)


def read_market(body: bytes) -> None:
    instrument_of(msgspec.json.decode(body, type=m.MarketResponse).market, venue="kalshi", fees=FEES)


def read_orders(body: bytes) -> None:
    for order in msgspec.json.decode(body, type=a.OrdersPage).orders:
        rest_order_snapshot(order, venue="kalshi", ts_recv=1)


def read_order(body: bytes) -> None:
    rest_order_snapshot(msgspec.json.decode(body, type=a.OrderResponse).order, venue="kalshi", ts_recv=1)


def read_fills(body: bytes) -> None:
    for fill in msgspec.json.decode(body, type=a.FillsPage).fills:
        rest_fill(fill, venue="kalshi", ts_recv=1)


def read_positions(body: bytes) -> None:
    for position in msgspec.json.decode(body, type=a.PositionsPage).market_positions:
        rest_position(position, venue="kalshi", ts_recv=1)


def read_balance(body: bytes) -> None:
    rest_balance(msgspec.json.decode(body, type=a.RestBalance), venue="kalshi", ts_recv=1)


def read_limits(body: bytes) -> None:
    rate_limits(msgspec.json.decode(body, type=a.AccountLimits), CostTable(a.EndpointCosts(10)))


def read_ack(body: bytes) -> None:
    assert msgspec.json.decode(body, type=a.OrderAck).order_id


# The first key that a body has decides how it is read, down to domain events where it becomes any.
READERS: dict[str, Callable[[bytes], object]] = {
    "markets": read_markets,
    "market": read_market,
    "orders": read_orders,
    "order": read_order,
    "fills": read_fills,
    "market_positions": read_positions,
    "trades": lambda _body: None,
    "orderbook_fp": lambda _body: None,
    "balance": read_balance,
    "usage_tier": read_limits,
    "default_cost": lambda body: CostTable(msgspec.json.decode(body, type=a.EndpointCosts)),
    "settlements": lambda body: msgspec.json.decode(body, type=a.SettlementsPage),
    "exchange_active": lambda body: msgspec.json.decode(body, type=m.ExchangeStatus),
    "order_id": read_ack,
    "series_fee_change_arr": lambda _body: None,
}


@pytest.mark.parametrize("path", [path for path in BODIES if path.suffix == ".json"], ids=lambda path: path.name)
def test_recorded_body_when_decoded_then_everything_in_it_is_understood(path: Path) -> None:
    body, status = path.read_bytes(), status_of(path)
    if status in (200, 201):
        keys = msgspec.json.decode(body).keys()
        READERS[next(key for key in READERS if key in keys)](body)
    else:
        assert parse_error(status, body).code


@pytest.mark.parametrize("path", [path for path in BODIES if path.suffix == ".jsonl"], ids=lambda path: path.name)
def test_recorded_stream_when_decoded_then_no_frame_and_no_field_is_unknown(path: Path) -> None:
    counts = DecodeCounts()
    decoder = FrameDecoder(counts)
    frames = [decoder.decode(line) for line in path.read_bytes().splitlines() if line.strip()]
    assert frames
    assert not any(isinstance(frame, s.OtherFrame) for frame in frames)
    assert counts == DecodeCounts()
