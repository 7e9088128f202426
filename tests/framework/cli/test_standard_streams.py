"""Standard streams that are closed, and readers that go: no traceback, no wrong advice, no other exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from framework.domain.errors import EXIT_FAILED, EXIT_PIPE_CLOSED
from tests.support.daemon import ROOT

COMMAND = f"env -u PYTHONUNBUFFERED {sys.executable} -m framework"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Have a shell carry out a line."""
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def unread(arguments: str) -> tuple[int, str]:
    """A command whose output is a pipe that nobody reads: its exit code, and what it wrote to standard error."""
    # The reader is gone before the first byte comes.
    done = shell(f"(sleep 0.3; exec {COMMAND} {arguments}) | true; echo ${{PIPESTATUS[0]}}")
    return int(done.stdout), done.stderr


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a run that has ended."""
    directory = tmp_path_factory.mktemp("state")
    done = shell(f"{COMMAND} run --duration 0.2 --set http.port=0 --state-dir {directory}")
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


@pytest.mark.parametrize(
    "arguments", ["list", "list venues", "list refusals", "show-config", "check-config", "--help", "run --help"]
)
def test_command_when_nobody_reads_its_output_then_it_ends_without_a_word(arguments: str) -> None:
    assert unread(arguments) == (EXIT_PIPE_CLOSED, "")


@pytest.mark.parametrize("arguments", ["journal dump", "journal verify", "orders", "fills", "positions", "refusals"])
def test_records_when_nobody_reads_them_then_the_disk_is_not_blamed(state: Path, arguments: str) -> None:
    assert unread(f"{arguments} --state-dir {state}") == (EXIT_PIPE_CLOSED, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_command_when_a_standard_stream_is_closed_then_it_works_as_with_dev_null(closed: str) -> None:
    done = shell(f"{COMMAND} list venues {closed}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_daemon_when_a_standard_stream_is_closed_then_it_runs_and_stops_in_order(tmp_path: Path, closed: str) -> None:
    done = shell(f"{COMMAND} run --duration 0.2 --set http.port=0 --state-dir {tmp_path} {closed}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_daemon_when_nobody_reads_its_log_then_it_runs_and_stops_with_its_own_code(tmp_path: Path) -> None:
    run = f"run --duration 0.5 --set http.port=0 --state-dir {tmp_path}"
    assert unread(run) == (0, "")


@pytest.mark.parametrize("what", ["list refusals", "list", "list strategies"])
def test_command_when_its_output_can_not_be_written_be_it_long_or_short_then_it_says_so(what: str) -> None:
    done = shell(f"{COMMAND} {what} > /dev/full")
    assert done.returncode == EXIT_FAILED
    assert done.stderr == "tidegate: standard output: No space left on device; what was printed is not complete\n"


def test_complaint_when_nobody_reads_it_then_it_is_silent() -> None:
    done = shell(f"(sleep 0.3; exec {COMMAND} lsit 2>&1) | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == (f"{EXIT_PIPE_CLOSED}\n", "")
