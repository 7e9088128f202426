from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from framework.domain.account_events import PositionReport
from framework.domain.market_events import ConnectorStatus
from framework.domain.numbers import Size
from framework.domain.operator_requests import SOCKET_NAME, Answer
from framework.ops.operator_service import HISTORY_NAME, OperatorService
from framework.ops.readiness import NotReady, NotReadyKind
from framework.persistence.tape import Tape
from framework.runtime.background import BackgroundWorker
from framework.runtime.files import RealFile, RealFiles
from framework.runtime.metrics import Metrics
from framework.runtime.unix_socket import ask
from tests.support.world import MARKET, MS, VENUE, World


def watching(
    world: World, metrics: Metrics, ledger_trouble: Callable[[], str] = str, tape_trouble: Callable[[], str] = str
) -> OperatorService:
    operator_service = OperatorService(
        world.kernel,
        metrics,
        files=RealFiles(),
        directory=world.directory,
        strategies=["scribe"],
        wait_durable=world.recorder.wait_durable,
        ledger_trouble=ledger_trouble,
        tape_trouble=tape_trouble,
    )
    operator_service.watch(VENUE, world.reconciler)
    return operator_service


async def test_operator_service_when_started_then_the_operator_is_answered_until_it_closes(world: World) -> None:
    operator_service = watching(world, Metrics())
    await operator_service.start()
    line = await asyncio.to_thread(ask, world.directory / SOCKET_NAME, b'{"command": "reconcile"}', timeout_s=5)
    await operator_service.close()

    assert msgspec.json.decode(line, type=Answer).lines == ("the venues and we agree",)
    assert not (world.directory / SOCKET_NAME).exists()


async def test_drift_when_a_position_differs_then_it_is_a_metric_and_a_reason_not_to_be_ready(world: World) -> None:
    metrics = Metrics()
    operator_service = watching(world, metrics)
    assert metrics.drift.samples() == [((VENUE, MARKET), 0.0)]
    world.gateway.positions_there.append(PositionReport(venue=VENUE, instrument=MARKET, size=Size(-3), ts_recv=1))
    await world.reconciler.once()
    assert metrics.drift.samples() == [((VENUE, MARKET), -3.0)]
    assert operator_service.not_ready() == []

    world.clock.advance(101 * MS)
    await world.reconciler.once()

    text = f"position of {MARKET} differs: venue -3, own 0"
    assert operator_service.not_ready() == [NotReady(NotReadyKind.POSITION_DIFFERS, text, MARKET)]


async def test_venue_when_its_streams_are_up_and_no_request_gets_through_then_the_daemon_is_not_ready(
    world: World,
) -> None:
    operator_service = watching(world, Metrics())
    for _ in range(2):
        operator_service.on_trouble(VENUE, "connection refused")
        world.clock.advance(9_999 * MS)
    assert operator_service.not_ready() == []

    world.clock.advance(1 * MS)
    operator_service.on_trouble(VENUE, "no answer")
    reason = NotReady(NotReadyKind.VENUE_DOWN, f"venue {VENUE} answers no requests: no answer", VENUE)
    assert operator_service.not_ready() == [reason]

    world.kernel.publish(ConnectorStatus(VENUE, False, "lost", 1))
    assert operator_service.not_ready() == []  # that it is not connected says more
    world.kernel.publish(ConnectorStatus(VENUE, True, "", 1))
    operator_service.on_pass(VENUE, ())
    assert operator_service.not_ready() == []


async def test_passes_when_made_then_they_are_counted_by_what_they_found(world: World) -> None:
    metrics = Metrics()
    operator_service = watching(world, metrics)
    operator_service.on_pass(VENUE, ())
    world.gateway.positions_there.append(PositionReport(venue=VENUE, instrument=MARKET, size=Size(1), ts_recv=1))
    await world.reconciler.once()
    world.clock.advance(101 * MS)
    operator_service.on_pass(VENUE, await world.reconciler.once())
    operator_service.on_trouble(VENUE, "time-out")

    assert metrics.reconciliations.values == {
        (VENUE, "agreed"): 1,
        (VENUE, "differs"): 1,
        (VENUE, "failed"): 1,
    }
    assert len((world.directory / HISTORY_NAME).read_text().splitlines()) == 1


async def test_ledger_when_it_can_not_be_written_then_it_is_told_once_per_change_and_is_a_metric(world: World) -> None:
    metrics, trouble = Metrics(), [""]
    operator_service = watching(world, metrics, lambda: trouble[0])
    seen = []
    with structlog.testing.capture_logs() as logged:
        for reason in ("", "locked", "locked", "disk full", "disk full", "", ""):
            trouble[0] = reason
            operator_service.look_at_records()
            seen.append(metrics.ledger_up.samples())

    assert [(line["log_level"], line.get("reason", "")) for line in logged] == [
        ("warning", "locked"),
        ("warning", "disk full"),
        ("info", ""),
    ]
    assert [value for ((_, value),) in seen] == [1, 0, 0, 0, 0, 1, 1]


async def test_tape_when_it_can_not_be_written_then_that_is_told_once(world: World, tmp_path: Path) -> None:
    worker = BackgroundWorker("tape")
    tape = Tape.open(FaultyTape(), tmp_path / "tape", worker)
    operator_service = watching(world, Metrics(), tape_trouble=lambda: tape.trouble)
    with structlog.testing.capture_logs() as logged:
        operator_service.look_at_records()
        tape.record(1, 1, 1, ConnectorStatus(VENUE, True, "", 1))
        tape.flush()
        worker.close()
        for _ in range(3):
            operator_service.look_at_records()
    assert [line["event"] for line in logged] == ["the tape does not show what happens; trading goes on"]
    assert logged[0]["reason"].endswith("OSError: no room")


class FaultyTape(RealFiles):
    """A disk on which no file can be begun."""

    def open_append(self, path: Path, /) -> RealFile:
        raise OSError("no room")
