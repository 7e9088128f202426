"""Reading markets, fees and limits at the start and later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog

from connectors.client.instruments import InstrumentRegistry
from connectors.client.loader import InstrumentLoader, InstrumentRefresher
from connectors.client.venue_time import VenueTime
from connectors.kalshi.limits import read_limits
from connectors.kalshi.markets.lifecycle import apply_lifecycle, select
from connectors.kalshi.markets.source import MarketSource
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.kalshi.wire.stream_messages import LifecycleMsg
from framework.domain.account_events import InstrumentDefined, InstrumentSettled
from framework.domain.errors import ConfigurationError
from framework.domain.events import Event
from framework.domain.instruments import InstrumentStatus
from framework.domain.market_events import LimitsDeclared
from framework.domain.rate_limits import Pool
from tests.connectors.kalshi.support import TICKER, settings_for, tier_budget
from tests.connectors.kalshi.venue_script import body, listed_market, quiet_venue
from tests.connectors.support import LoopClock, ScriptedHttp, run_jumping

T = TypeVar("T")
OTHER = "KXTIDE-26NOV21-T192"
ODD_RANGE = {"start": "0", "end": "1", "step": "0"}
NOT_FOUND = (404, b'{"error":{"code":"not_found","message":"not found"}}')
FORBIDDEN = (403, b'{"error":{"code":"forbidden","message":"forbidden"}}')


class Desk:
    """A loader with its registry and what it published."""

    def __init__(self, clock: LoopClock, http: ScriptedHttp, tmp_path: Path, **changes: Any) -> None:
        settings = settings_for(tmp_path, **changes)
        signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
        self._budget = tier_budget(settings, clock)
        rest = kalshi_rest(http, signer, settings, clock=clock, time=VenueTime(clock), turn=self._budget.turn)
        self.events: list[Event] = []
        self.clock = clock
        self.registry = InstrumentRegistry(
            "kalshi", select(settings.markets), followed_max=settings.markets_max, read_lag_ns=2_000_000_000
        )
        source = MarketSource("kalshi", rest, self.registry.selection, subaccount=settings.own_subaccount)
        self.loader = InstrumentLoader(source, self.registry, clock=clock, time=rest.time, publish=self.events.append)
        self._rest, self._tier = rest, settings.tier

    async def declare_limits(self) -> None:
        event = LimitsDeclared("kalshi", await read_limits(self._rest, self._tier), self.clock.now_ns())
        self._budget.publish(event)
        self.events.append(event)

    def refresher(self, on_fetched: Callable[[str], None]) -> InstrumentRefresher:
        made = InstrumentRefresher(self.loader, clock=self.clock)
        made.on_fetched = on_fetched
        return made

    @property
    def defined(self) -> list[str]:
        return [event.instrument.symbol for event in self.events if isinstance(event, InstrumentDefined)]


def with_desk(
    tmp_path: Path, http: ScriptedHttp, use: Callable[[Desk], Awaitable[T]], **changes: Any
) -> tuple[Desk, T]:
    async def main(clock: LoopClock) -> tuple[Desk, T]:
        desk = Desk(clock, http, tmp_path, **changes)
        return desk, await use(desk)

    return run_jumping(main)


def load(tmp_path: Path, http: ScriptedHttp, **changes: Any) -> Desk:
    return with_desk(tmp_path, http, lambda desk: desk.loader.load(), **changes)[0]


def test_load_when_a_series_is_wanted_then_its_live_markets_are_defined_and_followed(tmp_path: Path) -> None:
    http = quiet_venue(TICKER, OTHER)
    desk = load(tmp_path, http)
    assert desk.defined == [TICKER, OTHER]
    assert list(desk.registry.followed) == [TICKER, OTHER]
    asked = [target for target in http.targets() if target.startswith("/trade-api/v2/markets?")]
    assert asked == [
        f"/trade-api/v2/markets?series_ticker=KXTIDE&status={status}&limit=1000"
        for status in ("open", "unopened", "paused")
    ]
    instrument = desk.registry.find_symbol(TICKER)
    assert instrument is not None
    assert (instrument.fees.taker_rate, instrument.fees.maker_rate) == ("0.07", "0.0175")


@pytest.mark.parametrize(
    ("pattern", "query", "defined"),
    [
        (TICKER, f"tickers={TICKER}&limit=1000", [TICKER, OTHER]),
        ("KXTIDE-*-B200", "series_ticker=KXTIDE&status=open&limit=1000", [TICKER]),
        ("*-B200", "status=open&limit=1000", [TICKER]),
        ("event:KXTIDE-26NOV21", "event_ticker=KXTIDE-26NOV21&status=open&limit=1000", [TICKER, OTHER]),
    ],
)
def test_load_when_patterns_differ_then_as_little_as_possible_is_read(
    tmp_path: Path, pattern: str, query: str, defined: list[str]
) -> None:
    http = quiet_venue(TICKER, OTHER)
    desk = load(tmp_path, http, markets=(pattern,))
    assert f"/trade-api/v2/markets?{query}" in http.targets()
    assert desk.defined == defined


def test_load_when_an_exact_ticker_does_not_exist_then_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KXTIDE-26NOV21-B999"):
        load(tmp_path, quiet_venue(TICKER), markets=("KXTIDE-26NOV21-B999",))


def test_load_when_too_many_match_then_the_limit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="markets_max=1"):
        load(tmp_path, quiet_venue(TICKER, OTHER), markets_max=1)


def test_load_when_nothing_matches_yet_then_it_starts_all_the_same(tmp_path: Path) -> None:
    assert load(tmp_path, quiet_venue()).defined == []


def test_load_when_the_grid_is_unusable_then_only_an_exactly_wanted_market_stops_the_start(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    bad = listed_market(TICKER, price_ranges=[ODD_RANGE])
    http.on("GET", "/markets", body(markets=[bad, listed_market(OTHER)], cursor=""))
    assert load(tmp_path, http).defined == [OTHER]
    with pytest.raises(ConfigurationError, match="price_ranges"):
        load(tmp_path, http, markets=(TICKER,))


def test_load_when_a_value_of_one_market_cannot_be_read_then_the_others_are_defined(tmp_path: Path) -> None:
    http = quiet_venue(TICKER, OTHER)
    odd, fine = listed_market(TICKER, close_time="soon"), listed_market(OTHER)
    http.on("GET", "/markets", body(markets=[odd, fine], cursor=""))
    assert load(tmp_path, http).defined == [OTHER]


def test_load_when_the_account_holds_or_was_paid_for_others_then_they_are_known_but_not_followed(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER)
    held, paid = "KXHELD-1-A", "KXPAID-1-B"
    http.on("GET", "/portfolio/positions", body(market_positions=[{"ticker": held, "position_fp": "1.00"}], cursor=""))
    row = {"ticker": paid, "market_result": "yes", "value": 100}
    http.on("GET", "/portfolio/settlements", body(settlements=[row], cursor=""))
    others = [listed_market(held), listed_market(paid, status="finalized", result="yes")]
    wanted = body(markets=[listed_market(TICKER)], cursor="")
    http.on("GET", "/markets", wanted, wanted, wanted, body(markets=others, cursor=""))
    for series in ("KXHELD", "KXPAID"):
        http.on("GET", f"/series/{series}", NOT_FOUND)
        http.on("GET", f"/events/{series}-1", NOT_FOUND)
    desk = load(tmp_path, http)
    assert desk.defined == [TICKER, held, paid]
    assert list(desk.registry.followed) == [TICKER]
    settled = [event for event in desk.events if isinstance(event, InstrumentSettled)]
    assert [(event.instrument, event.value) for event in settled] == [(f"kalshi:{paid}", 10_000)]


def test_limits_when_declared_then_they_are_published(tmp_path: Path) -> None:
    desk, _ = with_desk(tmp_path, quiet_venue(TICKER), lambda desk: desk.declare_limits())
    (event,) = desk.events
    assert isinstance(event, LimitsDeclared)
    assert Pool("write", 12_000, 12_000) in event.limits.pools


def test_limits_when_the_key_may_not_read_them_then_the_tier_of_the_settings_is_declared(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    http.on("GET", "/account/limits", FORBIDDEN)
    http.on("GET", "/account/endpoint_costs", FORBIDDEN)
    desk, _ = with_desk(tmp_path, http, lambda desk: desk.declare_limits(), tier="advanced")
    (event,) = desk.events
    assert isinstance(event, LimitsDeclared)
    assert Pool("write", 300, 300) in event.limits.pools


def run_refresher(
    tmp_path: Path, http: ScriptedHttp, ask: Callable[[InstrumentRefresher], None], seconds: float
) -> tuple[Desk, list[str]]:
    fetched: list[str] = []

    async def use(desk: Desk) -> None:
        refresher = desk.refresher(fetched.append)
        task = asyncio.create_task(refresher.run())
        ask(refresher)
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait({task})

    return with_desk(tmp_path, http, use)[0], fetched


def test_refresher_when_a_created_market_is_not_readable_yet_then_it_is_tried_until_it_is(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    http.on("GET", f"/markets/{TICKER}", NOT_FOUND, NOT_FOUND, body(market=listed_market(TICKER)))
    desk, fetched = run_refresher(tmp_path, http, lambda refresher: refresher.fetch(TICKER), 10)
    assert (desk.defined, fetched) == ([TICKER], [TICKER])
    assert http.targets().count(f"/trade-api/v2/markets/{TICKER}") == 3


def test_refresher_when_a_market_never_shows_then_it_is_abandoned(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    http.on("GET", f"/markets/{TICKER}", NOT_FOUND)
    _, fetched = run_refresher(tmp_path, http, lambda refresher: refresher.fetch(TICKER), 100)
    assert fetched == []
    assert http.targets().count(f"/trade-api/v2/markets/{TICKER}") == 30


def test_refresher_when_a_refresh_fails_then_it_is_done_later(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)

    async def use(desk: Desk) -> list[str]:
        await desk.loader.load()
        paused = body(markets=[listed_market(TICKER, status="inactive")], cursor="")
        http.on("GET", "/markets", *[(500, b"")] * 4, paused)
        refresher = desk.refresher(lambda _ticker: None)
        task = asyncio.create_task(refresher.run())
        refresher.refresh()
        await asyncio.sleep(30)
        task.cancel()
        await asyncio.wait({task})
        return desk.defined

    assert with_desk(tmp_path, http, use)[1] == [TICKER, TICKER]


REFUSED = (400, b'{"error":{"code":"invalid_parameters","message":"no such filter"}}')


@pytest.mark.parametrize(
    ("answer", "said"), [(REFUSED, "invalid_parameters"), (body(markets={}), "can't be read"), ((500, b""), "500")]
)
def test_refresher_when_new_markets_can_not_be_looked_for_then_that_is_said_and_not_tried_before_it_is_asked_for(
    tmp_path: Path, answer: tuple[int, bytes], said: str
) -> None:
    http = quiet_venue()
    http.on("GET", "/markets", answer)
    with structlog.testing.capture_logs() as logged:
        run_refresher(tmp_path, http, lambda refresher: refresher.search(), 300)
    assert len(http.targets()) <= 3
    (line,) = logged
    assert line["event"] == "new markets can't be looked for"
    assert said in line["reason"]


def test_refresher_when_known_markets_are_refused_then_they_are_not_asked_for_again_by_themselves(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER)

    async def use(desk: Desk) -> int:
        await desk.loader.load()
        http.on("GET", "/markets", REFUSED)
        asked = len(http.targets())
        refresher = desk.refresher(lambda _ticker: None)
        task = asyncio.create_task(refresher.run())
        refresher.refresh()
        await asyncio.sleep(300)
        task.cancel()
        await asyncio.wait({task})
        return len(http.targets()) - asked

    # The known ones and what is wanted, each once.
    assert with_desk(tmp_path, http, use)[1] == 2


def test_search_when_its_list_took_long_then_the_next_one_comes_a_hundred_times_later(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    pages = [body(markets=[], cursor=f"c{number}") for number in range(40)]

    async def use(desk: Desk) -> list[int]:
        counts = []
        # Twenty reads may be made at once and twenty more in each second: these take a second or two.
        for seconds in (0, 60, 600):
            await asyncio.sleep(seconds)
            http.on("GET", "/markets", *pages, body(markets=[], cursor=""))
            before = len(http.targets())
            await desk.loader.find_new()
            counts.append(len(http.targets()) - before)
        return counts

    assert with_desk(tmp_path, http, use, markets=("*",), tier="basic")[1] == [43, 0, 43]


def test_refresher_when_a_wanted_market_becomes_unreadable_then_the_daemon_goes_on_with_what_it_knows(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER)

    async def use(desk: Desk) -> bool:
        await desk.loader.load()
        http.on("GET", f"/markets/{TICKER}", body(market=listed_market(TICKER, price_ranges=[ODD_RANGE])))
        return await desk.loader.fetch(TICKER)

    desk, is_found = with_desk(tmp_path, http, use, markets=(TICKER,))
    assert (desk.defined, is_found) == ([TICKER], True)


def test_refresher_when_a_market_was_announced_as_paid_then_it_is_read_until_its_payment_is_listed(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER)
    paid = body(market=listed_market(TICKER, status="finalized", result="no"))
    http.on("GET", f"/markets/{TICKER}", body(market=listed_market(TICKER, status="determined", result="yes")), paid)

    async def use(desk: Desk) -> None:
        await desk.loader.load()
        refresher = desk.refresher(lambda _ticker: None)
        task = asyncio.create_task(refresher.run())
        outcome = apply_lifecycle(desk.registry, LifecycleMsg(TICKER, "settled"), ts_venue=1, ts_recv=1)
        assert outcome is not None
        assert outcome.is_fetch_needed
        refresher.fetch(TICKER)
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait({task})

    desk, _ = with_desk(tmp_path, http, use)
    assert [event.value for event in desk.events if isinstance(event, InstrumentSettled)] == [0]


def test_refresher_when_a_message_comes_while_the_market_is_read_then_it_is_not_undone_and_the_market_read_again(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER)
    http.on(
        "GET",
        f"/markets/{TICKER}",
        *[body(market=listed_market(TICKER))] * 2,
        body(market=listed_market(TICKER, status="inactive")),
    )
    http.slow_s = 0.2

    async def use(desk: Desk) -> list[InstrumentStatus]:
        await desk.loader.load()
        refresher = desk.refresher(lambda _ticker: None)
        task = asyncio.create_task(refresher.run())
        refresher.fetch(TICKER)
        await asyncio.sleep(0.1)
        now_ns = desk.clock.monotonic_ns()
        apply_lifecycle(desk.registry, LifecycleMsg(TICKER, "deactivated"), ts_venue=0, ts_recv=1, now_ns=now_ns)
        seen = []
        for _ in range(60):
            await asyncio.sleep(0.25)
            known = desk.registry.find_symbol(TICKER)
            assert known is not None
            seen.append(known.status)
        task.cancel()
        await asyncio.wait({task})
        return seen

    assert set(with_desk(tmp_path, http, use)[1]) == {InstrumentStatus.PAUSED}
    assert http.targets().count(f"/trade-api/v2/markets/{TICKER}") == 3


def test_refresher_when_a_market_is_asked_for_while_it_is_read_then_it_is_read_once_more(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    http.on("GET", f"/markets/{TICKER}", body(market=listed_market(TICKER)))
    http.slow_s = 0.2

    async def use(desk: Desk) -> None:
        await desk.loader.load()
        refresher = desk.refresher(lambda _ticker: None)
        task = asyncio.create_task(refresher.run())
        refresher.fetch(TICKER)
        await asyncio.sleep(0.1)
        refresher.fetch(TICKER)
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.wait({task})

    with_desk(tmp_path, http, use)
    assert http.targets().count(f"/trade-api/v2/markets/{TICKER}") == 2


def test_markets_when_one_of_the_list_can_not_be_read_then_it_is_read_alone_or_left_out_and_the_others_are_there(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER)
    rows = [
        listed_market(TICKER),
        listed_market("KXTIDE-1-B", status=None),
        listed_market("KXTIDE-1-C", close_time=5),
    ]
    http.on("GET", "/markets", body(markets=rows, cursor=""))
    http.on("GET", "/markets/KXTIDE-1-B", body(market=listed_market("KXTIDE-1-B")))
    http.on("GET", "/markets/KXTIDE-1-C", body(market=rows[2]))
    http.on("GET", "/events/KXTIDE-1", body(event={"event_ticker": "KXTIDE-1", "series_ticker": "KXTIDE"}))
    desk, _ = with_desk(tmp_path, http, lambda desk: desk.loader.load())
    assert set(desk.defined) == {TICKER, "KXTIDE-1-B"}


def test_fees_when_an_event_can_not_be_read_then_its_markets_are_left_out_and_the_others_are_there(
    tmp_path: Path,
) -> None:
    http = quiet_venue(TICKER, "KXTIDE-1-B")
    http.on("GET", "/events", body(events=[{"event_ticker": "KXTIDE-1", "series_ticker": None}], cursor=""))
    http.on("GET", "/events/KXTIDE-1", body(event={"event_ticker": "KXTIDE-1", "series_ticker": None}))
    desk, _ = with_desk(tmp_path, http, lambda desk: desk.loader.load())
    assert desk.defined == [TICKER]
