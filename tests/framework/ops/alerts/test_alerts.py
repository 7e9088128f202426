"""The alerts of a daemon as a whole: looked for, sent, kept over a restart, acknowledged, and said at a stop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from framework.config.model import Configuration
from framework.domain.operator_requests import AcknowledgeAlerts, SendTestAlert
from framework.ops.alerts.alerts import Alerts
from framework.ops.alerts.outputs import make_outputs
from framework.ops.alerts.sources import AlertSources
from framework.ops.readiness import NotReady, NotReadyKind
from framework.runtime.files import FileSystem, RealFiles
from framework.runtime.secrets import SecretRegistry
from framework.runtime.supervisor import Supervisor
from tests.framework.ops.alerts.receiver import Receiver, receiving
from tests.framework.ops.alerts.test_conditions import Watched
from tests.support.world import VENUE, World, until

UNUSABLE = NotReady(NotReadyKind.VENUE_UNUSABLE, "venue tide: it refuses the account", VENUE)
NAME = f"venue_unusable:{VENUE}"


class Rig:
    """A core that is watched, and its alerts; `again` are those of the next run on the same directory."""

    def __init__(self, world: World, outputs: dict[str, Any] | None = None, files: FileSystem | None = None) -> None:
        self.watched = Watched(world)
        self._config = Configuration.model_validate(
            {
                "state_dir": world.directory,
                "alerts": {"outputs": outputs or {}},
                "venues": {VENUE: {"use": "x"}},
                "checks": {"one": {"use": "x"}},
            }
        )
        self._files = files or RealFiles()
        self.alerts = self.again()

    def again(self) -> Alerts:
        watched = self.watched
        sources = AlertSources(
            kernel=watched.world.kernel,
            metrics=watched.metrics,
            in_question=watched.conditions._sources.in_question,
            alarms=watched.alarms,
            not_ready=lambda: watched.reasons,
            failing_stop=lambda: watched.failing_stop,
        )
        alerts = Alerts(sources, self._config, files=self._files)
        alerts.send_to(make_outputs(self._config.alerts, SecretRegistry()))
        return alerts

    def names(self) -> list[str]:
        return [alert.name for alert in self.alerts.shown().alerts]


@pytest.fixture
def rig(world: World) -> Rig:
    return Rig(world)


def webhook(receiver: Receiver, directory: Path, **settings: Any) -> dict[str, Any]:
    return {"phone": {"use": "webhook", "address_path": receiver.file(directory), **settings}}


def text_of(file: Path) -> str:
    """What is in a file that may not be there yet."""
    return file.read_text() if file.exists() else ""


def ack(name: str = "", **more: Any) -> AcknowledgeAlerts:
    return AcknowledgeAlerts(name=name, by="ann", reason="on it", **more)


async def test_acknowledgement_when_it_is_answered_then_it_is_on_the_disk_and_the_next_run_has_it(rig: Rig) -> None:
    rig.watched.reasons.append(UNUSABLE)
    rig.alerts.look()
    answer = await rig.alerts.acknowledge(ack(NAME))
    assert (answer.is_ok, answer.lines, answer.data) == (True, (f"{NAME} is acknowledged",), [NAME])

    rig.alerts = rig.again()
    rig.alerts.look()
    (alert,) = rig.alerts.shown().alerts
    assert (alert.acknowledged_by, alert.reason) == ("ann", "on it")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ack("venue_unusabel:tide"), f'did you mean "{NAME}"'),
        (ack("venue"), 'there is no alert "venue"'),
        (ack(), "name one alert"),
        (ack(NAME, is_all=True), "name one alert"),
    ],
)
async def test_acknowledgement_when_it_names_none_then_it_is_refused_with_what_there_is(
    rig: Rig, request_: AcknowledgeAlerts, words: str
) -> None:
    rig.watched.reasons.append(UNUSABLE)
    rig.alerts.look()
    answer = await rig.alerts.acknowledge(request_)
    assert not answer.is_ok
    assert words in answer.lines[0]
    assert [alert.acknowledged_by for alert in rig.alerts.shown().alerts] == [""]


async def test_acknowledgement_when_it_is_of_all_then_it_is_of_those_that_there_are(rig: Rig) -> None:
    assert (await rig.alerts.acknowledge(ack(is_all=True))).lines == ("every alert is acknowledged",)
    rig.watched.alarms.append("a fill was taken back")
    rig.watched.reasons.append(UNUSABLE)
    rig.alerts.look()
    lines = (await rig.alerts.acknowledge(ack(is_all=True))).lines
    assert sorted(line.partition(" is ")[2] for line in lines) == ["acknowledged", "acknowledged, and over"]


async def test_acknowledgement_when_the_disk_refuses_it_then_it_holds_and_that_is_said(world: World) -> None:
    class Full(RealFiles):
        def rename(self, old: Path, new: Path, /) -> None:
            raise OSError(28, "No space left on device")

    rig = Rig(world, files=Full())
    rig.watched.reasons.append(UNUSABLE)
    rig.alerts.look()
    with capture_logs() as logged:
        answer = await rig.alerts.acknowledge(ack(NAME))
        again = await rig.alerts.acknowledge(ack(NAME))
    assert not answer.is_ok
    assert not again.is_ok
    assert "it holds now but not after a restart" in answer.lines[-1]
    assert [alert.acknowledged_by for alert in rig.alerts.shown().alerts] == ["ann"]
    assert [line["event"] for line in logged] == ["alerts are not kept over a restart"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"alerts": [{"kind": "of another version"}]}', b"\xff"])
def test_file_when_it_can_not_be_read_then_alerts_begin_anew_with_a_warning(world: World, content: bytes) -> None:
    (world.directory / "alerts.json").write_bytes(content)
    with capture_logs() as logged:
        rig = Rig(world)
    assert [line["event"] for line in logged] == ["alerts begin anew"]
    assert rig.names() == []


def test_alert_when_it_begins_and_is_over_then_the_log_has_a_line_each(rig: Rig) -> None:
    rig.watched.reasons.append(UNUSABLE)
    with capture_logs() as logged:
        for _ in range(2):
            rig.alerts.look()
            rig.watched.world.clock.advance(400_000_000_000)
            rig.alerts.look()
            rig.watched.reasons.clear()
    lines = [line for line in logged if line.get("alert") == NAME]
    assert [(line["event"], line["log_level"]) for line in lines] == [("alert", "warning"), ("alert is over", "info")]
    assert (lines[0]["urgency"], lines[0]["what"]) == ("page", "venue tide: it refuses the account")


def test_metrics_when_an_alert_holds_then_they_count_it_until_it_is_acknowledged(rig: Rig) -> None:
    metrics = rig.watched.metrics
    assert all(count == 0 for _, count in metrics.alerts_active.samples())
    rig.watched.reasons.append(UNUSABLE)
    rig.alerts.look()
    assert dict(metrics.alerts_active.samples())["venue_unusable",] == 1
    assert metrics.alerts_unacknowledged.samples() == [(("page",), 1), (("ticket",), 0)]
    asyncio.run(rig.alerts.acknowledge(ack(NAME)))
    assert dict(metrics.alerts_active.samples())["venue_unusable",] == 1
    assert metrics.alerts_unacknowledged.samples() == [(("page",), 0), (("ticket",), 0)]


def test_look_when_a_source_fails_then_that_is_an_alert_and_the_next_look_sees_the_rest(rig: Rig) -> None:
    rig.watched.reasons.append(object())  # type: ignore[arg-type]
    with capture_logs() as logged:
        rig.alerts.look()
        rig.alerts.look()
    assert rig.names() == ["alarm:defect"]
    assert [line["event"] for line in logged] == ["alerts can't be looked for", "alert"]
    rig.watched.reasons[:] = [UNUSABLE]
    rig.alerts.look()
    assert rig.names() == ["alarm:defect", NAME]


async def test_test_when_an_output_takes_the_message_then_the_answer_says_how(world: World, tmp_path: Path) -> None:
    async with receiving() as receiver:
        rig = Rig(world, webhook(receiver, tmp_path))
        answer = await rig.alerts.send_test(SendTestAlert(output="phone"))
        assert (answer.is_ok, answer.lines) == (True, ("phone took the message: HTTP 200",))
        assert receiver.bodies[0]["status"] == "test"
        assert rig.names() == []
        refused = await rig.alerts.send_test(SendTestAlert(output="phon"))
        assert refused.lines == ('there is no output "phon"; did you mean "phone"?; there are: phone',)
        await rig.alerts.close()
    answer = await rig.alerts.send_test(SendTestAlert(output="phone"))
    assert not answer.is_ok
    assert answer.lines[0].startswith("phone did not take the message: ClientConnectorError")
    await rig.alerts.close()


async def test_alert_when_it_holds_then_every_output_gets_it_and_the_status_says_so(
    world: World, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        outputs = webhook(receiver, tmp_path) | {"log": {"use": "command", "argv": ["tee", str(tmp_path / "said")]}}
        rig = Rig(world, outputs)
        supervisor = Supervisor(clock=world.clock)
        rig.watched.reasons.append(UNUSABLE)
        rig.alerts.start(supervisor)
        said, kept = tmp_path / "said", world.directory / "alerts.json"
        await until(lambda: receiver.posted and "\n" in text_of(said), timeout_s=10)
        await until(lambda: '"sent":1' in text_of(kept), timeout_s=10)
        assert list(rig.alerts.notes()) == ["alerts: 1, not acknowledged 1; `tidegate alerts` lists them"]
        assert [(one.name, one.level, one.trouble) for one in rig.alerts.shown().outputs] == [
            ("phone", "ticket", ""),
            ("log", "ticket", ""),
        ]
        await supervisor.close()
        await rig.alerts.close()
    assert receiver.bodies[0]["alert"] == json.loads(said.read_text())["alert"] == NAME


async def test_stop_when_its_end_needs_somebody_then_the_last_message_says_so_before_it(
    world: World, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        rig = Rig(world, webhook(receiver, tmp_path))
        supervisor = Supervisor(clock=world.clock)

        async def leave_orders() -> None:
            rig.watched.failing_stop = "the daemon stops: SIGTERM; orders may be left at a venue"

        supervisor.on_stop("orders", leave_orders, timeout_ms=1_000)
        rig.alerts.start(supervisor)
        rig.watched.reasons.append(UNUSABLE)
        await until(lambda: rig.alerts.shown().alerts and rig.alerts.shown().alerts[0].sent, timeout_s=10)
        receiver.delay_s = 0.1
        supervisor.request_stop("SIGTERM")
        assert await supervisor.run() == 0
        await rig.alerts.close()
    assert [body["alert"] for body in receiver.bodies] == [NAME, "stopped"]
    kept = json.loads((world.directory / "alerts.json").read_text())["alerts"]
    assert [(one["kind"], one["sent"]) for one in kept] == [("venue_unusable", 1), ("stopped", 1)]


async def test_stop_when_an_output_hangs_then_it_ends_in_time_and_with_its_own_code(
    world: World, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        rig = Rig(world, webhook(receiver, tmp_path))
        rig.alerts._stop_ms_max = 100
        supervisor = Supervisor(clock=world.clock)
        rig.watched.reasons.append(UNUSABLE)
        receiver.delay_s = 60
        rig.alerts.start(supervisor)
        await until(lambda: receiver.posted, timeout_s=10)
        supervisor.request_stop("SIGTERM")
        async with asyncio.timeout(10):
            assert await supervisor.run() == 0
        await rig.alerts.close()
