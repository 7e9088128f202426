"""One sender at a venue: a process that ends orders there, or the daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from framework.runtime.venue_lease import BudgetLeft, BudgetNote, LeaseWatch, VenueLease

HOLDER = """
import sys
from pathlib import Path
from framework.runtime.venue_lease import VenueLease
lease = VenueLease(Path(sys.argv[1]), "zdex")
print(lease.take(), lease.first_from(1_000), flush=True)
sys.stdin.read()
"""


def test_lease_when_a_process_holds_it_then_the_daemon_sees_it_and_its_death_frees_it(tmp_path: Path) -> None:
    watch, other = LeaseWatch(tmp_path, "zdex"), LeaseWatch(tmp_path, "kalshi")
    assert not watch.is_taken()
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True 1001\n"
        assert watch.is_taken()
        assert not other.is_taken()
        second = VenueLease(tmp_path, "zdex")
        assert not second.take()
        holder.kill()
        holder.wait(10)
    assert not watch.is_taken()
    assert second.take()
    assert second.first_from(1_000) == 1_003
    second.close()
    second.close()
    assert not watch.is_taken()
    watch.close()


def test_lease_when_the_daemon_looks_for_it_then_a_process_can_still_take_it(tmp_path: Path) -> None:
    lease, watch = VenueLease(tmp_path, "v"), LeaseWatch(tmp_path, "v")
    assert not watch.is_taken()
    assert lease.take()
    lease.close()
    watch.close()


def test_watch_when_the_lease_was_taken_meanwhile_then_it_says_so_once(tmp_path: Path) -> None:
    lease = VenueLease(tmp_path, "v")
    watch = LeaseWatch(tmp_path, "v")
    assert not watch.was_taken()
    assert lease.take()
    lease.first_from(7_000)
    lease.close()
    assert watch.was_taken()
    assert not watch.was_taken()
    watch.close()


def test_note_when_a_sender_wrote_it_then_the_next_one_reads_the_newest_whole(tmp_path: Path) -> None:
    note = BudgetNote(tmp_path, "v")
    assert note.read() is None
    note.write(BudgetLeft(123_456_789, {"requests": 1_000_000}))
    note.write(BudgetLeft(7, {"requests": 1}))
    other = BudgetNote(tmp_path, "v")
    assert other.read() == BudgetLeft(7, {"requests": 1})
    (tmp_path / "budget-v").write_bytes(b"{")
    assert other.read() is None
    for one in (note, other):
        one.close()


def test_stamps_when_the_file_is_damaged_then_they_begin_with_the_time(tmp_path: Path) -> None:
    (tmp_path / "lease-v").write_bytes(b"\xffgarbage")
    lease = VenueLease(tmp_path, "v")
    assert lease.take()
    assert lease.first_from(7_000) == 7_001
    lease.close()
