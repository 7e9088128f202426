"""The connector against the venue's sandbox, over real HTTP and WebSocket on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectors.bitexasia.plugin import Settings, create, sandbox_settings
from connectors.client.connector import VenueConnector
from connectors.client.stream import LIBRARIES
from framework.domain.errors import AccountRefused
from framework.domain.events import Event
from framework.domain.market_events import (
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    LimitsDeclared,
    TermsDeclared,
    VenueClock,
    WindowSeen,
)
from framework.domain.rate_limits import RequestKind
from framework.domain.turns import Turn, no_limits
from framework.domain.venue import UnknownRights
from framework.runtime.clock import SystemClock, seeded_rng
from tests.connectors.bitexasia.signed_client import Client, StartClient

E = TypeVar("E")
HOUR_MS = 3_600_000


class Live:
    """A running connector and the events that it published."""

    def __init__(self, connector: VenueConnector) -> None:
        self.connector = connector
        self.events: list[Event] = []

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)

    async def until(self, kind: type[E], is_right: Callable[[E], bool] = lambda _event: True, *, after: int = 0) -> E:
        """The first such event from number `after` on; waits for it."""
        async with asyncio.timeout(8):
            while True:
                for event in self.events[after:]:
                    if isinstance(event, kind) and is_right(event):
                        return event
                await asyncio.sleep(0.01)


def connector_of(client: Client, *, turn: Any = no_limits, **changes: Any) -> VenueConnector:
    given = dict(sandbox_settings(client.ready)) | {"markets": ("BTC-USD",), "connects_per_minute_max": 600} | changes
    settings = Settings(**given | {"secret_path": Path(given["secret_path"])})
    made = create("bx", settings, clock=SystemClock(), rng=seeded_rng(3), turn=turn)
    assert isinstance(made, VenueConnector)
    return made


@asynccontextmanager
async def running(client: Client, **changes: Any) -> AsyncIterator[Live]:
    """A connector whose stream is up."""
    live = Live(connector_of(client, **changes))
    await live.connector.start(live.publish)
    task = asyncio.create_task(live.connector.run())
    try:
        await live.until(ConnectorStatus, lambda one: one.is_up)
        yield live
    finally:
        task.cancel()
        await asyncio.wait({task})
        await live.connector.close()


async def test_start_when_done_then_terms_and_limits_come_first_and_the_window_is_known(client: Client) -> None:
    async with running(client) as live:
        kinds = [type(event) for event in live.events]
        assert kinds[:2] == [TermsDeclared, LimitsDeclared]
        seen = await live.until(WindowSeen)
        assert (seen.pool, seen.left) == ("requests", 1_199), "the first read, which its answer counts in"


async def test_reads_when_sent_then_each_takes_its_turn_under_its_name(client: Client) -> None:
    taken: list[tuple[RequestKind, str]] = []

    @asynccontextmanager
    async def turn(kind: RequestKind, endpoint: str = "", weight: int = 1) -> AsyncIterator[Turn]:
        taken.append((kind, endpoint))
        async with no_limits(kind, endpoint, weight) as mine:
            yield mine

    async with running(client, turn=turn):
        counted = sum(client.venue.served.observed.requests.values()) - 1
    assert taken[0] == (RequestKind.QUERY, "first read")
    assert len(taken) == counted, "all but the stream"


@pytest.mark.parametrize("library", LIBRARIES)
async def test_stream_when_it_is_cut_then_a_new_one_brings_the_book_again(client: Client, library: str) -> None:
    await client.quote([["62000.00", "1.00"]], [["63000.00", "1.00"]])
    async with running(client, stream_library=library) as live:
        await live.until(BookSnapshot, lambda one: bool(one.bids))
        seen = len(live.events)
        await client.admin("faults", {"kind": "drop_connection", "count": 1})
        await live.until(BookStale, after=seen)
        await live.until(ConnectorStatus, lambda one: not one.is_up, after=seen)
        book = await live.until(BookSnapshot, after=seen)
        assert (book.bids, book.asks) == (((6_200_000, 100),), ((6_300_000, 100),))
        seen = len(live.events)
        await client.order(price="61000", size="0.30")
        level = await live.until(BookLevel, after=seen)
        assert (level.price, level.size) == (6_100_000, 30)


async def test_clock_when_the_venue_s_is_an_hour_off_then_requests_are_signed_with_its_time(client: Client) -> None:
    await client.admin("faults", {"kind": "clock_skew", "skew_ms": HOUR_MS, "count": -1})
    async with running(client) as live:
        change = await live.until(VenueClock)
        assert abs(change.offset_ns // 1_000_000 - HOUR_MS) < 2_000


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"key_id": "nobody"}, "unknown_key"),
        ({"secret": "read_only_"}, "bad_signature"),
        ({"prefix": "elsewhere_"}, "ip_not_allowed"),
    ],
)
async def test_start_when_the_key_is_refused_then_the_refusal_and_what_to_check_are_named(
    client: Client, key: dict[str, str], words: str
) -> None:
    changes: dict[str, Any] = {}
    if "prefix" in key:
        changes["key_id"] = client.ready[f"{key['prefix']}api_key"]
    prefix = key.get("prefix", key.get("secret", ""))
    changes["secret_path"] = client.ready[f"{prefix}api_secret_path"]
    connector = connector_of(client, **changes | ({"key_id": key["key_id"]} if "key_id" in key else {}))
    with pytest.raises(AccountRefused, match=rf"{words}.*check key_id, secret_path, and the addresses"):
        await connector.start(lambda *_event: None)
    await connector.close()


@pytest.mark.parametrize("rights", [(), ("read",), ("trade", "withdraw")])
async def test_rights_when_the_settings_say_them_then_they_are_what_is_known_of_the_key(
    client: Client, rights: tuple[str, ...]
) -> None:
    assert await connector_of(client, key_rights=rights).key_rights() == UnknownRights(rights)


async def test_book_when_the_account_is_verified_then_a_thousand_levels_are_streamed(start: StartClient) -> None:
    client = await start(depth=1_000)
    await client.quote([[f"{62_000 - step}.00", "0.10"] for step in range(300)], [])
    async with running(client, depth=1_000) as live:
        assert len((await live.until(BookSnapshot)).bids) == 300
