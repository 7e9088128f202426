"""What a shutdown leaves: requests that waited in a queue are told apart from those that may have reached a venue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
import structlog

from framework.config.layers import DEFAULT_FILE, load
from framework.config.resolve import resolve
from framework.daemon import Daemon
from framework.domain.account_events import InstrumentDefined, OrderReport, PositionReport, ReportKind
from framework.domain.errors import EXIT_ORDERS_LEFT, Fatal, Retryable
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import LimitsDeclared, TermsDeclared
from framework.domain.numbers import Size
from framework.domain.orders import Order, OrderStatus
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import FillListing, VenueTerms
from framework.execution.request_queue import QueuedRequest
from framework.persistence.recovery import Records, RecordSettings, open_records
from framework.runtime.clock import SystemClock, seeded_rng
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from framework.runtime.state_directory import lock_state
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.state_records import INSTRUMENT, MARKET, fill, listed, new

VENUE = "kalshi"


class ScriptedConnector:
    """A venue account whose streams say nothing. Implements `Connector`."""

    venue = VENUE
    account = "scripted"
    is_loopback = True
    assumptions = ()

    def __init__(self, gateway: ScriptedGateway) -> None:
        self.gateway = gateway

    async def start(self, _publish: Callable[[Event], None], /) -> None:
        """Nothing to load."""

    async def run(self) -> None:
        """Nothing to stream."""

    def resync(self, _instrument: InstrumentId, /) -> None:
        """No book to get."""

    def reread(self, _instrument: InstrumentId, /) -> None:
        """No instrument to read."""

    async def close(self) -> None:
        """Nothing to close."""


class Rig:
    """A daemon whose dispatcher does not run: what is queued stays so."""

    def __init__(self, directory: Path, *, shutdown_ms: int) -> None:
        overrides = [f"state_dir={directory}", f"kernel.shutdown_ms_max={shutdown_ms}"]
        clock = SystemClock()
        self.records: Records = open_records(
            RealFiles(),
            RecordSettings(
                directory=directory, durability=Durability.PROCESS_CRASH, tape=None, version="", config_hash=""
            ),
            clock=clock,
            rng=seeded_rng(1),
            observe_sync_ns=lambda _: None,
        )
        resolved = resolve(load([DEFAULT_FILE], environ={}, overrides=overrides))
        self.daemon = Daemon(resolved, records=self.records, clock=clock, metrics=Metrics())
        self.gateway = ScriptedGateway(VENUE, clock)
        self.daemon._venues[VENUE] = self.daemon._make_venue(ScriptedConnector(self.gateway))
        self.daemon.kernel.publish(LimitsDeclared(VENUE, RateLimits(pools=(), costs=()), clock.now_ns()))

    def queued(self, name: str) -> None:
        """An order that was approved and has not left."""
        approved = msgspec.structs.replace(new(name), venue=VENUE)
        self.records.accounts.apply(approved, 1)
        self.records.recorder.journal(1, 1, 1, approved)
        self.daemon._core.queues[VENUE].push(QueuedRequest(approved))

    def resting(self, name: str) -> None:
        """An order that the venue holds."""
        self.queued(name)
        self.daemon._core.queues[VENUE].pop()
        accepted = ReportKind.ACCEPTED
        self.daemon.kernel.publish(
            OrderReport(venue=VENUE, client_order_id=name, kind=accepted, ts_recv=2, venue_order_id=f"v-{name}")
        )

    def order(self, name: str) -> Order:
        order = self.records.accounts.orders.get(name)
        assert order is not None
        return order


@contextmanager
def rigged(directory: Path, *, shutdown_ms: int) -> Iterator[Rig]:
    """A daemon and its records."""
    with closing(lock_state(directory)):
        rig = Rig(directory, shutdown_ms=shutdown_ms)
        with closing(rig.records):
            yield rig


async def test_order_when_it_is_queued_at_the_shutdown_then_it_counts_as_not_sent_at_once(tmp_path: Path) -> None:
    with rigged(tmp_path / "state", shutdown_ms=60_000) as rig:
        rig.queued("a")

        async with asyncio.timeout(10):
            await rig.daemon.shutdown.run()

        assert (rig.order("a").status, rig.order("a").reason) == (
            OrderStatus.REJECTED,
            "not_sent: the daemon is stopping",
        )
        assert rig.gateway.sent == []
        assert not rig.daemon.supervisor.is_stopping


async def test_cancel_when_it_never_left_before_the_end_then_its_order_is_left_and_shown_as_it_is(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        rig.resting("a")

        await rig.daemon.shutdown.run()

        assert rig.order("a").status is OrderStatus.WORKING
        assert len(rig.daemon._core.queues[VENUE]) == 0
        assert rig.daemon.supervisor.stop_reason == "orders may be left"
        assert rig.daemon.supervisor._exit_code == EXIT_ORDERS_LEFT


@pytest.mark.parametrize("is_ended", [True, False])
async def test_shutdown_when_only_the_position_will_say_what_an_ended_order_traded_then_that_order_is_not_left(
    tmp_path: Path, is_ended: bool
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        rig.daemon.kernel.publish(TermsDeclared(VENUE, VenueTerms(fills=FillListing.TAKER_ONLY), 1))
        rig.resting("a")
        rig.gateway.read_lag_ms = 60_000
        shown = listed("a", is_open=not is_ended, venue_order_id="v-a")
        rig.gateway.orders_there["a"] = msgspec.structs.replace(shown, venue=VENUE)
        with structlog.testing.capture_logs() as logged:
            await rig.daemon.shutdown.run()

        assert rig.order("a").is_open
        assert rig.daemon.supervisor.is_stopping is not is_ended
        said = {line["event"] for line in logged}
        assert ("order may be left" in said) is not is_ended
        assert ("fills of orders that have ended come with the next start" in said) is is_ended


@pytest.mark.parametrize("error", [Fatal("the key was refused"), Retryable("no route")])
async def test_shutdown_when_the_last_fills_can_not_be_asked_for_then_it_ends_in_order(
    tmp_path: Path, error: Exception
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        rig.daemon._venues[VENUE].reconciler.once = failing(error)  # type: ignore[method-assign]
        with structlog.testing.capture_logs() as logged:
            await rig.daemon.shutdown.run()

    assert [line["reason"] for line in logged if "come with the next start" in line["event"]] == [str(error)]
    assert logged[-1]["event"] == "trading stopped"


async def test_shutdown_when_fills_are_stated_and_not_booked_then_it_waits_for_them_and_says_what_it_did_not_get(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=2_000) as rig:
        rig.resting("a")
        order = rig.order("a")
        ended = listed("a", filled=order.size, size=order.size, price=order.price, is_open=False, venue_order_id="v-a")
        rig.daemon.kernel.publish(msgspec.structs.replace(ended, venue=VENUE, instrument=order.instrument))
        assert rig.order("a").status is OrderStatus.ENDING
        booked = fill("f", name="a", size=order.size, price=order.price, venue_order_id="v-a")
        booked = msgspec.structs.replace(booked, venue=VENUE, instrument=order.instrument)
        asyncio.get_running_loop().call_later(0.3, rig.daemon.kernel.publish, booked)
        with structlog.testing.capture_logs() as logged:
            await rig.daemon.shutdown.run()
        assert rig.order("a").status is OrderStatus.FILLED
    assert not [line for line in logged if "come with the next start" in line["event"]]


async def test_shutdown_when_a_venue_never_answers_then_every_order_that_may_be_left_is_listed_in_time(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=200) as rig:
        rig.resting("a")
        rig.resting("b")
        rig.daemon._venues[VENUE].reconciler.once = asyncio.Event().wait  # type: ignore[method-assign,assignment]
        rig.daemon.supervisor.request_stop("SIGTERM received")
        with structlog.testing.capture_logs() as logged:
            async with asyncio.timeout(10):
                code = await rig.daemon.supervisor.run()

    assert code == EXIT_ORDERS_LEFT
    assert [line["order"] for line in logged if line["event"] == "order may be left"] == ["a", "b"]
    assert "stop hook timed out" not in [line["event"] for line in logged]


async def test_shutdown_when_only_the_position_shows_a_fill_then_it_waits_until_that_has_lasted_and_is_booked(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=20_000) as rig:
        rig.gateway.terms = VenueTerms(fills=FillListing.TAKER_ONLY)
        rig.daemon.kernel.publish(TermsDeclared(VENUE, rig.gateway.terms, 1))
        rig.daemon.kernel.publish(InstrumentDefined(msgspec.structs.replace(INSTRUMENT, venue=VENUE), 1))
        rig.resting("a")
        rig.daemon.kernel.publish(
            OrderReport(venue=VENUE, client_order_id="a", kind=ReportKind.CANCELLED, ts_recv=time.time_ns())
        )
        rig.gateway.positions_there = [
            PositionReport(venue=VENUE, instrument=MARKET, size=Size(4), ts_recv=time.time_ns())
        ]

        await rig.daemon.shutdown.run()

        assert rig.order("a").filled == 4
        assert rig.records.accounts.positions.account(MARKET).size == 4


async def test_last_words_when_orders_are_open_then_each_is_named(tmp_path: Path) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        assert "no order is open" in rig.daemon.shutdown.last_words()
        rig.resting("a")
        assert "tidegate: order may be left: a working at kalshi on " in rig.daemon.shutdown.last_words()


def failing(error: Exception) -> Callable[[], Awaitable[object]]:
    """What raises this when it is awaited."""

    async def fail() -> object:
        raise error

    return fail
