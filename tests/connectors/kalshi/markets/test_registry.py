"""What is known of markets."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.client.instruments import SETTLED_KEPT_MAX, InstrumentRegistry, ReadBegan
from connectors.client.wire.answers import UnusableInstrument
from connectors.client.wire.decimals import iso_ns
from connectors.kalshi.markets.lifecycle import LifecycleEffect, apply_lifecycle, select
from connectors.kalshi.wire.stream_messages import LifecycleMsg
from framework.domain.account_events import InstrumentDefined, InstrumentSettled, InstrumentStatusChanged
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.numbers import Price
from tests.connectors.kalshi.support import FEES, TICKER, define, market

OTHER = "KXTIDE-26NOV21-T192"


def registry(*tickers: str, markets_max: int = 10, **changes: Any) -> InstrumentRegistry:
    made = InstrumentRegistry("kalshi", select(["series:KXTIDE"]), followed_max=markets_max)
    for ticker in tickers or (TICKER,):
        define(made, market(ticker, **changes), FEES, ts_recv=1)
        made.follow([ticker])
    return made


def apply(made: InstrumentRegistry, event_type: str, ticker: str = TICKER, **fields: Any) -> LifecycleEffect | None:
    return apply_lifecycle(
        made, LifecycleMsg(market_ticker=ticker, event_type=event_type, **fields), ts_venue=5, ts_recv=6
    )


def only_event(outcome: LifecycleEffect | None) -> Event:
    assert outcome is not None
    (event,) = outcome.events
    return event


@pytest.mark.parametrize(
    ("pattern", "ticker", "wanted"),
    [
        ("KXTIDE-26NOV21-B200", "KXTIDE-26NOV21-B200", True),
        ("KXTIDE-*", "KXTIDE-26NOV21-B200", True),
        ("KXTIDE-*", "KXTIDES-26NOV21-B200", False),
        ("series:KXTIDE", "KXTIDE-26NOV21-B200", True),
        ("series:KXTIDE", "KXTIDES-26NOV21-B200", False),
        ("event:KXTIDE-26NOV21", "KXTIDE-26NOV21-B200", True),
        ("event:KXTIDE-26NOV21", "KXTIDE-26NOV22-B200", False),
        ("*", "ANYTHING", True),
    ],
)
def test_selection_when_asked_then_patterns_series_and_events_match(pattern: str, ticker: str, wanted: bool) -> None:
    assert select([pattern]).wants(ticker) is wanted


def test_market_when_read_again_unchanged_then_it_is_not_published_again() -> None:
    made = registry()
    assert define(made, market(), FEES, ts_recv=2) == ()
    (event,) = define(made, market(status="inactive"), FEES, ts_recv=2)
    assert isinstance(event, InstrumentDefined)
    assert event.instrument.status is InstrumentStatus.PAUSED


def test_instrument_when_asked_by_another_venues_id_then_it_is_not_found() -> None:
    made = registry()
    assert made.find(InstrumentId(f"kalshi:{TICKER}")) is not None
    assert made.find(InstrumentId(f"other:{TICKER}")) is None


def test_follow_when_full_or_unknown_then_only_what_fits_is_followed() -> None:
    made = registry(TICKER, OTHER, markets_max=1)
    assert list(made.followed) == [TICKER]
    assert made.follow(["NOBODY-KNOWS-IT"]) == ()


def test_lifecycle_when_paused_and_resumed_then_the_status_follows() -> None:
    made = registry()
    paused = only_event(apply(made, "deactivated"))
    assert isinstance(paused, InstrumentStatusChanged)
    assert paused.status is InstrumentStatus.PAUSED
    resumed = only_event(apply(made, "activated"))
    assert isinstance(resumed, InstrumentStatusChanged)
    assert resumed.status is InstrumentStatus.ACTIVE


def test_lifecycle_when_the_close_moves_then_the_new_time_is_reported_and_kept() -> None:
    made = registry()
    changed = only_event(apply(made, "close_date_updated", close_ts=1_781_000_000))
    assert isinstance(changed, InstrumentStatusChanged)
    assert (changed.status, changed.close_ns) == (InstrumentStatus.ACTIVE, 1_781_000_000_000_000_000)
    assert made.due(1_781_000_000_000_000_000, ts_recv=1) != ()


def test_lifecycle_when_the_close_is_put_off_after_the_calendar_closed_the_market_then_it_is_read() -> None:
    made = registry(close_time="2026-06-25T16:00:00Z")
    made.due(iso_ns("2026-06-25T16:00:00Z"), ts_recv=1)
    outcome = apply(made, "close_date_updated", close_ts=1_782_500_000)
    assert outcome is not None
    assert outcome.is_fetch_needed


def test_lifecycle_when_determined_then_settled_then_what_is_read_is_paid_once() -> None:
    made = registry()
    closed = only_event(apply(made, "determined"))
    assert isinstance(closed, InstrumentStatusChanged)
    assert closed.status is InstrumentStatus.CLOSED
    assert apply(made, "settled") == LifecycleEffect(is_fetch_needed=True)
    assert define(made, market(status="determined", result="yes"), FEES, ts_recv=8) == ()
    assert made.is_paying(TICKER)
    paid = market(status="finalized", result="no", settlement_ts="2026-06-25T18:00:00Z")
    (_, settled) = define(made, paid, FEES, ts_recv=9)
    paid_ns = iso_ns("2026-06-25T18:00:00Z")
    assert settled == InstrumentSettled(InstrumentId(f"kalshi:{TICKER}"), Price(0), paid_ns, 9)
    assert (TICKER in made.followed, made.is_paying(TICKER)) == (False, False)
    assert apply(made, "settled") == LifecycleEffect()
    assert define(made, paid, FEES, ts_recv=9) == ()


@pytest.mark.parametrize("field", ["open_time", "settlement_ts", "settlement_value_dollars"])
def test_market_when_a_value_cannot_be_read_then_it_stays_as_it_was_known(field: str) -> None:
    made = registry()
    known = made.find_symbol(TICKER)
    with pytest.raises(UnusableInstrument, match=TICKER):
        define(made, market(**{"status": "finalized", "result": "yes", field: "soon"}), FEES, ts_recv=2)
    assert made.find_symbol(TICKER) == known
    assert TICKER in made.followed


def test_lifecycle_when_the_grid_changes_then_the_market_is_read() -> None:
    assert apply(registry(), "price_level_structure_updated") == LifecycleEffect(is_fetch_needed=True)
    assert apply(registry(), "metadata_updated") == LifecycleEffect()


def test_lifecycle_when_a_wanted_market_is_created_then_it_is_read_while_there_is_room() -> None:
    assert apply(registry(), "created", OTHER) == LifecycleEffect(is_fetch_needed=True)
    assert apply(registry(), "created", "KXELSE-1-A") == LifecycleEffect()
    assert apply(registry(markets_max=1), "created", OTHER) == LifecycleEffect()


def test_lifecycle_when_of_a_market_not_known_or_a_kind_not_known_then_nothing_changes() -> None:
    assert apply(registry(), "deactivated", OTHER) == LifecycleEffect()
    assert apply(registry(), "a_new_word") is None


def test_calendar_when_the_close_passes_then_the_market_closes_by_itself_once() -> None:
    made = registry(close_time="2026-06-25T16:00:00Z")
    close_ns = iso_ns("2026-06-25T16:00:00Z")
    assert made.due(close_ns - 1, ts_recv=1) == ()
    (event,) = made.due(close_ns, ts_recv=1)
    assert isinstance(event, InstrumentStatusChanged)
    assert (event.status, event.ts_venue) == (InstrumentStatus.CLOSED, close_ns)
    assert made.due(close_ns + 1, ts_recv=1) == ()


def test_calendar_when_the_opening_passes_then_the_market_is_read_once() -> None:
    made = registry(status="initialized", open_time="2026-06-20T16:00:00Z")
    made.due(iso_ns("2026-06-20T15:59:59Z"), ts_recv=1)
    assert made.take_openings() == ()
    made.due(iso_ns("2026-06-20T16:00:00Z"), ts_recv=1)
    assert made.take_openings() == (TICKER,)
    made.due(iso_ns("2026-06-20T16:00:01Z"), ts_recv=1)
    assert made.take_openings() == ()


def test_settled_markets_when_there_are_too_many_then_the_oldest_is_forgotten_and_known_again_once_it_is_read() -> None:
    made = registry()
    tickers = [f"KXTIDE-26NOV21-T{number}" for number in range(SETTLED_KEPT_MAX + 1)]
    for ticker in tickers:
        define(made, market(ticker), FEES, ts_recv=1)
        define(made, market(ticker, status="finalized", result="yes"), FEES, ts_recv=2)

    assert made.find_symbol(tickers[0]) is None
    assert made.find_symbol(tickers[1]) is not None
    assert made.symbols() == (TICKER,)
    defined, settled = define(made, market(tickers[0], status="finalized", result="yes"), FEES, ts_recv=3)
    assert isinstance(defined, InstrumentDefined)
    assert isinstance(settled, InstrumentSettled)


def test_market_when_it_is_settled_then_reading_it_once_more_does_not_make_it_followed_again() -> None:
    made = registry(markets_max=1)
    define(made, market(status="finalized", result="yes"), FEES, ts_recv=2)

    assert made.follow([TICKER]) == ()
    assert made.has_room


def told(made: InstrumentRegistry, event_type: str, at_ns: int, **fields: Any) -> None:
    outcome = apply_lifecycle(
        made, LifecycleMsg(market_ticker=TICKER, event_type=event_type, **fields), ts_venue=0, ts_recv=6, now_ns=at_ns
    )
    assert outcome is not None


def read(made: InstrumentRegistry, began_ns: int, **changes: Any) -> Any:
    define(made, market(**changes), FEES, ts_recv=1, began=ReadBegan(began_ns, began_ns))
    return made.find_symbol(TICKER)


def test_read_when_it_began_before_a_message_or_within_the_read_lag_then_status_and_close_stay_as_told() -> None:
    made = InstrumentRegistry("kalshi", select(["series:KXTIDE"]), followed_max=10, read_lag_ns=50)
    read(made, 100)
    told(made, "deactivated", 200)
    told(made, "close_date_updated", 210, close_ts=1_790_000_000)
    for began_ns in (199, 210, 259):
        known = read(made, began_ns, exchange_index=began_ns)
        assert (known.status, known.close_ns) == (InstrumentStatus.PAUSED, 1_790_000_000_000_000_000)
        assert known.shard == began_ns
        assert made.is_outdated(TICKER)
    known = read(made, 260)
    assert (known.status, known.close_ns) == (InstrumentStatus.ACTIVE, iso_ns("2026-06-25T16:00:00Z"))
    assert not made.is_outdated(TICKER)


def test_read_when_it_shows_the_payment_then_it_counts_however_old_it_is() -> None:
    made = InstrumentRegistry("kalshi", select(["series:KXTIDE"]), followed_max=10, read_lag_ns=50)
    read(made, 100)
    told(made, "deactivated", 200)
    assert read(made, 199, status="finalized", result="yes").status is InstrumentStatus.SETTLED
    assert made.symbols() == ()


def test_read_when_a_newer_one_came_before_then_it_changes_nothing() -> None:
    made = registry()
    read(made, 100)
    assert read(made, 99, status="inactive", exchange_index=3) == read(made, 100)


def test_message_when_it_is_older_than_the_last_read_then_the_market_is_read_again_instead() -> None:
    made = InstrumentRegistry("kalshi", select(["series:KXTIDE"]), followed_max=10, read_lag_ns=50)
    read(made, 1_000)
    late = LifecycleMsg(market_ticker=TICKER, event_type="deactivated")
    assert apply_lifecycle(made, late, ts_venue=949, ts_recv=6, now_ns=1_100) == LifecycleEffect(is_fetch_needed=True)
    outcome = apply_lifecycle(made, late, ts_venue=950, ts_recv=6, now_ns=1_100)
    assert isinstance(only_event(outcome), InstrumentStatusChanged)
