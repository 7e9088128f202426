"""Who begins when: a strategy with its own venues and markets, whatever the others wait for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from msgspec.structs import replace

from framework.domain.account_events import InstrumentDefined
from framework.domain.errors import EXIT_ORDERS_LEFT
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import ConnectorStatus
from tests.framework.test_daemon_shutdown import VENUE, Rig, rigged
from tests.support.state_records import INSTRUMENT

OPEN = replace(INSTRUMENT, id=InstrumentId(f"{VENUE}:A"), venue=VENUE, symbol="A")
WAITS = ["strategy mm waits for an active instrument that matches kalshi:*"]


def connected(rig: Rig) -> None:
    """The venue's streams are up."""
    rig.daemon.kernel.publish(ConnectorStatus(VENUE, True, "subscribed", 1))


def reasons(rig: Rig) -> list[str]:
    """Why the daemon is not ready."""
    return [one.text for one in rig.daemon.not_ready()]


async def test_strategy_when_no_market_matches_then_the_daemon_is_ready_and_says_for_what_it_waits(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        connected(rig)
        rig.daemon._starts.begin()

        assert reasons(rig) == []
        assert rig.daemon._starts.waiting() == WAITS


async def test_strategy_when_its_first_market_opens_then_it_begins_and_waits_no_more(tmp_path: Path) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        connected(rig)
        rig.daemon._starts.begin()
        rig.daemon.kernel.publish(InstrumentDefined(OPEN, 2))
        assert reasons(rig) == ["strategy mm has not begun"]

        rig.daemon._starts.begin()

        assert (reasons(rig), rig.daemon._starts.waiting()) == ([], [])
        assert rig.daemon.kernel.hosts["mm"].strategy.desk.instruments == (OPEN.id,)
        rig.daemon._timers.close()


async def test_strategy_when_its_venue_is_not_up_then_it_waits_for_it_and_the_daemon_is_not_ready(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        rig.daemon.kernel.publish(InstrumentDefined(OPEN, 2))
        rig.daemon._starts.begin()
        assert reasons(rig) == [
            "venue kalshi is not connected",
            "strategy mm has not begun: waits for venue kalshi",
        ]
        assert rig.daemon._starts.waiting() == []

        connected(rig)
        rig.daemon._starting.add(VENUE)  # Connected, and not compared with yet.
        rig.daemon._starts.begin()
        assert "mm" not in rig.daemon.kernel.hosts


async def test_stop_when_a_venue_never_came_up_then_its_orders_are_listed_and_nobody_waits_for_them(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=60_000) as rig:
        rig.resting("a")
        rig.daemon._starting.add(VENUE)
        with structlog.testing.capture_logs() as logged:
            async with asyncio.timeout(10):
                await rig.daemon.shutdown.run()

        assert [line["order"] for line in logged if line["event"] == "order may be left"] == ["a"]
        assert await rig.daemon.supervisor.run() == EXIT_ORDERS_LEFT
