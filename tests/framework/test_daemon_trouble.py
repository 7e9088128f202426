"""What is told of trouble, and how loud: a journal that fails, and one that has lost its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from framework.domain.account_events import InstrumentDefined
from framework.domain.errors import JournalError
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.market_events import ConnectorStatus
from framework.domain.strategy import Strategy
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.state_directory import lock_state
from framework.venues import BookWatch
from tests.framework.test_daemon_shutdown import VENUE, Rig, rigged
from tests.support.state_records import INSTRUMENT


@contextmanager
def full_disk(directory: Path) -> Iterator[Rig]:
    """A daemon whose journal has failed."""
    with closing(lock_state(directory)):
        rig = Rig(directory, shutdown_ms=1_000)
        writer = rig.records.journal._writer
        assert isinstance(writer, InlineWriter)
        writer._fail(OSError(28, "No space left on device"))
        yield rig
        with pytest.raises(JournalError, match="No space left"):
            rig.records.close()


async def test_shutdown_when_the_journal_has_failed_then_its_reason_is_the_only_error(tmp_path: Path) -> None:
    with full_disk(tmp_path / "state") as rig:
        supervisor, failure = rig.daemon.supervisor, rig.records.journal.failure
        assert failure is not None
        rig.daemon._on_fatal(failure)
        with structlog.testing.capture_logs() as logged:
            assert await supervisor.run() == 1

    errors = [line for line in logged if line["log_level"] == "error"]
    assert [line["event"] for line in errors] == ["stopping"]
    assert "No space left on device" in errors[0]["reason"]


async def test_records_when_the_journal_has_failed_then_tending_them_does_not_fail_as_well(tmp_path: Path) -> None:
    with full_disk(tmp_path / "state") as rig:
        rig.records.checkpoint_ns = rig.records.compared_ns = -(10**18)
        await rig.records.run_maintenance(1, SystemClock())


async def test_venue_when_its_streams_are_up_again_then_it_is_compared_at_once(tmp_path: Path) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        reconciler = rig.daemon._venues[VENUE].reconciler
        reconciler._next_pass_ns = 10**18
        rig.daemon.kernel.publish(ConnectorStatus(VENUE, False, "reset", 1))
        assert reconciler._next_pass_ns == 10**18

        rig.daemon.kernel.publish(ConnectorStatus(VENUE, True, "subscribed", 2))

        assert reconciler._next_pass_ns == 0
        assert reconciler._wake.is_set()


async def test_book_when_stale_then_the_daemon_is_not_ready_where_a_strategy_trades_it_and_its_market_is_active(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        daemon = rig.daemon
        a, b = (replace(INSTRUMENT, id=InstrumentId(f"kalshi:{name}"), venue=VENUE) for name in "AB")
        closed = replace(a, id=InstrumentId("kalshi:C"), status=InstrumentStatus.CLOSED)
        for one in (a, b, closed):
            daemon.kernel.publish(InstrumentDefined(one, 1))
        daemon._core.add_strategy("quiet", Strategy, None, (a.id, closed.id))
        watch = BookWatch(VENUE, daemon._core.books, lambda _: None, clock=SystemClock(), instruments={})
        watch.stale = {one.id: "an orderbook_delta frame can't be read" for one in (a, b, closed)}
        before = daemon.not_ready()
        daemon._watches.append(watch)

        assert [one.text for one in daemon.not_ready() if one not in before] == [
            f"book {a.id} is stale: an orderbook_delta frame can't be read"
        ]


async def test_stop_when_it_was_asked_for_then_it_is_no_error(tmp_path: Path) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        rig.daemon.supervisor.request_stop("SIGTERM received")
        with structlog.testing.capture_logs() as logged:
            assert await rig.daemon.supervisor.run() == 0
        assert {line["log_level"] for line in logged} == {"info"}


async def test_start_when_the_journal_has_lost_its_end_then_there_is_an_alarm_that_says_what_to_do(
    tmp_path: Path,
) -> None:
    with rigged(tmp_path / "state", shutdown_ms=1_000) as rig:
        rig.records.lost = "records 7 to 9 were durable and are gone from the journal's end"
        with structlog.testing.capture_logs() as logged:
            rig.daemon._log_recovery()
        (alarm,) = logged
        assert (alarm["log_level"], alarm["event"]) == ("error", "alarm")
        assert "records 7 to 9" in alarm["what"]
        assert "tidegate resume" in alarm["what"]
        assert "tidegate external-orders" in alarm["what"]
