from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.domain.errors import Fatal
from framework.runtime.sandbox_process import SandboxProcess, forget_settings, keep_settings, read_settings

SANDBOX = "connectors.kalshi.sandbox"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a process is watched from outside
            await asyncio.sleep(0.05)


async def test_sandbox_when_started_then_it_says_where_it_is_and_ends_when_asked(tmp_path: Path) -> None:
    sandbox = await SandboxProcess.start(SANDBOX, ["--dir", str(tmp_path), "--markets", "1"], tmp_path / "log")
    assert sandbox.ready["venue"] == "kalshi"
    await sandbox.stop()
    assert await sandbox.wait() == 0


async def test_sandbox_when_started_then_a_key_press_at_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    sandbox = await SandboxProcess.start(SANDBOX, ["--dir", str(tmp_path), "--markets", "1"], tmp_path / "log")
    try:
        assert os.getpgid(sandbox.pid) != os.getpgid(0)
        assert os.getsid(sandbox.pid) != os.getsid(0)
    finally:
        await sandbox.stop()


async def test_sandbox_when_it_is_of_a_plugin_then_it_is_found_behind_what_is_installed(tmp_path: Path) -> None:
    for name in ("tide", "connectors"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "tide" / "__main__.py").write_text(
        "import json, sys, connectors.kalshi.plugin\nprint(json.dumps({'ready': sys.argv[1:]}))\n"
    )
    sandbox = await SandboxProcess.start("tide", ["--port", "0"], tmp_path / "log", folders=[tmp_path])
    assert sandbox.ready == {"ready": ["--port", "0", "--with-parent"]}
    assert await sandbox.wait() == 0


async def test_sandbox_when_it_can_not_start_then_the_error_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="did not become ready; its log is "):
        await SandboxProcess.start(SANDBOX, ["--markets", "many"], tmp_path / "log")


async def test_sandbox_when_the_daemon_is_killed_then_it_ends_by_itself(tmp_path: Path) -> None:
    starter = (
        "import subprocess, sys\n"
        f"sandbox = subprocess.Popen([sys.executable, '-m', '{SANDBOX}', '--dir', sys.argv[1], '--markets', '1',"
        " '--with-parent'], stdout=subprocess.PIPE)\n"
        "sandbox.stdout.readline()\n"
        "print(sandbox.pid, flush=True)\n"
        "sandbox.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter, str(tmp_path)], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    await until(lambda: not is_alive(pid))


def test_settings_when_left_for_a_process_beside_the_daemon_then_only_the_owner_can_read_them_and_they_end_with_it(
    tmp_path: Path,
) -> None:
    keep_settings(tmp_path, "kalshi", {"rest_url": "http://127.0.0.1:1"})
    assert (tmp_path / "venues" / "kalshi.json").stat().st_mode & 0o777 == 0o600
    assert read_settings(tmp_path, "kalshi") == {"rest_url": "http://127.0.0.1:1"}
    forget_settings(tmp_path, "kalshi")
    forget_settings(tmp_path, "kalshi")
    with pytest.raises(Fatal, match="kalshi: its embedded sandbox does not run"):
        read_settings(tmp_path, "kalshi")
