"""The loop says that it runs, in a file that any process can read."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from framework.domain.errors import Fatal
from framework.runtime.clock import SystemClock
from framework.runtime.heartbeat import Beat, LoopHeartbeat, read_beat
from framework.runtime.supervisor import Supervisor


def test_beat_when_written_then_it_says_when_and_of_whom(tmp_path: Path) -> None:
    heartbeat = LoopHeartbeat(tmp_path)
    assert read_beat(tmp_path) is None
    heartbeat.beat(123_456_789)
    heartbeat.beat(7)
    assert read_beat(tmp_path) == Beat(7, os.getpid())
    heartbeat.end(8)
    heartbeat.close()
    assert read_beat(tmp_path) == Beat(8, os.getpid(), is_last=True)
    assert (tmp_path / "heartbeat").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b'{"monotonic_ns": 1, "pid": 2}', b"\xff\n"])
def test_beat_when_it_cannot_be_read_then_there_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "heartbeat").write_bytes(content)
    assert read_beat(tmp_path) is None


async def supervised(directory: Path, *, ends: bool) -> Beat | None:
    """The last beat of a run that is stopped, or of one whose part fails."""
    supervisor = Supervisor(clock=SystemClock(), beats_in=directory)

    async def work() -> None:
        await asyncio.sleep(0.15)
        if not ends:
            raise Fatal("broken")
        supervisor.request_stop("asked")
        await asyncio.Event().wait()

    supervisor.spawn("work", work())
    await supervisor.run()
    return read_beat(directory)


async def test_beat_when_a_run_ends_in_order_then_the_last_one_says_so(tmp_path: Path) -> None:
    beat = await supervised(tmp_path, ends=True)
    assert beat is not None
    assert beat.is_last


async def test_beat_when_a_run_fails_then_the_last_one_does_not_say_that_nothing_is_open(tmp_path: Path) -> None:
    beat = await supervised(tmp_path, ends=False)
    assert beat is not None
    assert not beat.is_last


async def test_beats_when_the_disk_refuses_them_then_the_run_goes_on(tmp_path: Path) -> None:
    assert await supervised(tmp_path / "missing", ends=True) is None
