"""What a process beside the daemon asked of the venues waits for the daemon in a file of its own."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from framework.runtime.kill_log import KillLog, KillRecord, finished_logs

KILL = KillRecord(ts_ns=1, action="kill", by="operator", reason="drill")
CANCEL = KillRecord(ts_ns=2, action="cancel", venue="v", venue_order_id="o1")


def test_log_when_its_writer_lives_then_it_is_not_finished_and_when_it_ends_then_all_of_it_is_there(
    tmp_path: Path,
) -> None:
    log = KillLog(tmp_path, now_ns=1)
    log.write(KILL, CANCEL)
    assert list(finished_logs(tmp_path)) == []
    log.sync()
    log.close()
    ((path, records),) = finished_logs(tmp_path)
    assert records == [KILL, CANCEL]
    assert path.stat().st_mode & 0o777 == 0o600


def test_log_when_the_daemon_looks_while_it_is_made_then_it_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, found = fcntl.flock, []

    def looked_at(descriptor: int, how: int) -> None:
        found.extend(path.name for path in tmp_path.glob("kill-*.jsonl"))
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", looked_at)
    KillLog(tmp_path, now_ns=1).close()
    assert found == []
    assert [path.name.startswith("kill-1-") for path in tmp_path.iterdir()] == [True]


def test_log_when_its_writer_died_within_a_line_then_that_line_is_left_out(tmp_path: Path) -> None:
    log = KillLog(tmp_path, now_ns=1)
    log.write(KILL)
    log.close()
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'{"ts_ns":3,"action":"canc')
    assert [records for _, records in finished_logs(tmp_path)] == [[KILL]]


def test_logs_when_there_are_several_then_the_oldest_comes_first(tmp_path: Path) -> None:
    for now_ns in (20, 10):
        log = KillLog(tmp_path, now_ns=now_ns)
        log.write(KillRecord(ts_ns=now_ns, action="kill"))
        log.close()
    assert [records[0].ts_ns for _, records in finished_logs(tmp_path)] == [10, 20]
