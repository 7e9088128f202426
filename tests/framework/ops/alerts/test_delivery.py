"""The delivery: nobody waits for an output, a failure is tried again and said once, and what is newer replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from framework.ops.alerts.alert import AlertKind, AlertLevel, Notice, NoticeStatus
from framework.ops.alerts.delivery import QUEUE_MAX, AlertDelivery
from framework.ops.alerts.outputs import WebhookOutput
from framework.runtime.metrics import Metrics
from framework.runtime.secrets import SecretRegistry
from tests.framework.ops.alerts.receiver import ALERT, Receiver, receiving, webhook_row
from tests.support.world import settle, until

FIRING = Notice(NoticeStatus.FIRING, ALERT)
TICKET = Notice(NoticeStatus.FIRING, msgspec.structs.replace(ALERT, kind=AlertKind.LEDGER_DOWN))


def about(target: str, status: NoticeStatus = NoticeStatus.FIRING) -> Notice:
    return Notice(status, msgspec.structs.replace(ALERT, target=target))


class Delivering:
    """A delivery at work, to a real server."""

    def __init__(self, receiver: Receiver, directory: Path, **settings: object) -> None:
        self.metrics = Metrics()
        self.sent: list[Notice] = []
        self.pauses_s: list[float] = []
        row = webhook_row(address_path=receiver.file(directory), **settings)
        self.output = WebhookOutput("phone", row, SecretRegistry())
        self.delivery = AlertDelivery(
            self.output, self.metrics, daemon="desk", on_sent=self.sent.append, sleep=self._sleep
        )

    async def _sleep(self, duration_s: float) -> None:
        self.pauses_s.append(duration_s)
        await asyncio.sleep(0)

    def counts(self) -> dict[str, int]:
        return {outcome: count for (_, outcome), count in self.metrics.alert_messages.values.items() if count}


@asynccontextmanager
async def delivering(directory: Path, **settings: object) -> AsyncIterator[tuple[Delivering, Receiver]]:
    """A server and a delivery to it for the length of a `with`."""
    async with receiving() as receiver:
        found = Delivering(receiver, directory, **settings)
        task = asyncio.create_task(found.delivery.run())
        try:
            yield found, receiver
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await found.output.close()


def failing(receiver: Receiver, count: int, status: int = 500) -> None:
    receiver.answers += [web.Response(status=status, text="sorry") for _ in range(count)]


async def test_message_when_it_is_taken_then_it_is_counted_and_said_to_be_sent(tmp_path: Path) -> None:
    async with delivering(tmp_path) as (found, receiver):
        found.delivery.offer(FIRING)
        await found.delivery.until_idle()
    assert [body["alert"] for body in receiver.bodies] == ["venue_down:tide"]
    assert found.counts() == {"sent": 1}
    assert found.sent == [FIRING]
    assert found.metrics.alert_output_up.samples() == [(("phone",), 1)]


async def test_message_when_the_alert_is_over_then_it_does_not_count_as_sent_of_it(tmp_path: Path) -> None:
    async with delivering(tmp_path) as (found, _):
        found.delivery.offer(about("tide", NoticeStatus.RESOLVED))
        await found.delivery.until_idle()
    assert (found.counts(), found.sent) == ({"sent": 1}, [])


@pytest.mark.parametrize(("level", "count"), [("page", 1), ("ticket", 2)])
async def test_level_when_it_is_set_then_no_less_is_sent(tmp_path: Path, level: str, count: int) -> None:
    async with delivering(tmp_path, level=level) as (found, receiver):
        found.delivery.offer(TICKET)
        found.delivery.offer(FIRING)
        await found.delivery.until_idle()
    assert found.output.level is AlertLevel(level)
    assert len(receiver.posted) == count


async def test_failure_when_it_passes_then_the_message_gets_through_and_nothing_is_said(tmp_path: Path) -> None:
    with capture_logs() as logged:
        async with delivering(tmp_path) as (found, receiver):
            failing(receiver, 3)
            found.delivery.offer(FIRING)
            await found.delivery.until_idle()
    assert (len(receiver.posted), found.counts(), logged) == (4, {"sent": 1}, [])
    assert found.pauses_s == [1, 2, 5]


async def test_failure_when_it_lasts_then_it_is_said_once_and_shown_and_each_later_message_is_tried_once(
    tmp_path: Path,
) -> None:
    with capture_logs() as logged:
        async with delivering(tmp_path) as (found, receiver):
            failing(receiver, 6)
            for target in ("a", "b", "c"):
                found.delivery.offer(about(target))
                await until(lambda: len(receiver.posted) >= 4)
            await until(lambda: found.counts().get("failed") == 3)
            assert len(receiver.posted) == 4 + 1 + 1
            assert found.delivery.trouble == "HTTP 500: sorry"
            assert found.metrics.alert_output_up.samples() == [(("phone",), 0)]

            found.delivery.offer(about("d"))
            await until(lambda: found.counts().get("sent") == 1)
            assert found.delivery.trouble == ""
    assert [line["event"] for line in logged] == ["alerts do not get out", "alerts get out again"]
    assert logged[0]["reason"] == "HTTP 500: sorry"


async def test_failure_when_it_is_final_then_it_is_not_tried_again(tmp_path: Path) -> None:
    async with delivering(tmp_path) as (found, receiver):
        failing(receiver, 1, status=404)
        found.delivery.offer(FIRING)
        await until(lambda: found.counts() == {"failed": 1})
    assert len(receiver.posted) == 1


async def test_output_when_it_hangs_then_nobody_waits_and_of_an_alert_the_newest_message_goes_next(
    tmp_path: Path,
) -> None:
    async with delivering(tmp_path) as (found, receiver):
        receiver.delay_s = 30
        found.delivery.offer(about("first"))
        await until(lambda: receiver.posted)
        receiver.delay_s = 0
        for status in (NoticeStatus.FIRING, NoticeStatus.FIRING, NoticeStatus.RESOLVED):
            found.delivery.offer(about("second", status))
        await settle()
        assert len(receiver.posted) == 1
    # The hanging one would have been given up after its time; what is left to be sent is one message.
    assert [notice.status for notice in found.delivery._waiting.values()] == [NoticeStatus.RESOLVED]


async def test_message_when_a_newer_one_comes_while_it_is_tried_then_it_is_not_tried_again(tmp_path: Path) -> None:
    async with delivering(tmp_path) as (found, receiver):
        receiver.answers.append(web.Response(status=500))
        receiver.delay_s = 0.05
        found.delivery.offer(FIRING)
        await until(lambda: receiver.posted)
        found.delivery.offer(about("tide", NoticeStatus.RESOLVED))
        await found.delivery.until_idle()
    assert [body["status"] for body in receiver.bodies] == ["firing", "resolved"]


async def test_queue_when_it_is_full_then_more_is_dropped_counted_and_said_once(tmp_path: Path) -> None:
    async with receiving() as receiver:
        found = Delivering(receiver, tmp_path)
        with capture_logs() as logged:
            for number in range(QUEUE_MAX + 3):
                found.delivery.offer(about(str(number)))
            found.delivery.offer(about("0", NoticeStatus.RESOLVED))  # in the place of one that waits
    assert found.counts() == {"dropped": 3}
    assert [line["event"] for line in logged] == ["alerts are dropped: too many wait"]


async def test_stop_when_the_output_is_dead_then_it_is_not_waited_for(tmp_path: Path) -> None:
    async with delivering(tmp_path) as (found, receiver):
        failing(receiver, 4)
        receiver.answers_max = 4
        found.delivery.offer(FIRING)
        found.delivery.offer(about("other"))
        async with asyncio.timeout(4):
            await found.delivery.until_idle()
        assert found.delivery.trouble
        await until(lambda: len(receiver.posted) == 5)
        found.delivery.offer(about("third"))
        async with asyncio.timeout(4):
            await found.delivery.until_idle()


async def test_pause_when_the_receiver_asks_for_one_then_it_has_it_within_bounds(tmp_path: Path) -> None:
    async with delivering(tmp_path) as (found, receiver):
        receiver.answers += [web.Response(status=429, headers={"Retry-After": text}) for text in ("7", "3600", "0")]
        found.delivery.offer(FIRING)
        await found.delivery.until_idle()
    assert found.pauses_s == [7, 30, 5]
    assert found.counts() == {"sent": 1}
