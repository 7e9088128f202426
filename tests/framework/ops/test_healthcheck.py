"""The container's health check, as a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.config.model import HttpSettings
from framework.ops.healthcheck import address_in, check, url_of, write_address
from framework.ops.http import ControlServer
from framework.ops.readiness import NotReady, NotReadyKind
from framework.state.trading_states import TradingStates
from tests.support.command_line import Capsys

MODULE = "framework.ops.healthcheck"


async def no_metrics() -> bytes:
    return b""


async def run_against(beat_age_ms: int, folder: Path, *, host: str = "127.0.0.1") -> tuple[int, str]:
    """What the check of a state directory says of a server on any free port."""
    server = ControlServer(
        HttpSettings(host=host, port=0),
        render_metrics=no_metrics,
        beat_age_ns=lambda: beat_age_ms * 1_000_000,
        not_ready=lambda: [NotReady(NotReadyKind.HALTED, "irrelevant here")],
        trading=TradingStates(),
    )
    write_address(folder, host, await server.start())
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            env={"TIDEGATE_STATE_DIR": str(folder), "TIDEGATE_HTTP__PORT": "1"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        return process.returncode or 0, errors.decode()
    finally:
        await server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost"])  # noqa: S104 - as in a container
async def test_healthcheck_when_the_heart_beats_then_exits_0_wherever_the_daemon_listens(
    tmp_path: Path, host: str
) -> None:
    assert await run_against(10, tmp_path, host=host) == (0, "")


async def test_healthcheck_when_the_heart_stopped_then_exits_1_with_the_answer(tmp_path: Path) -> None:
    code, errors = await run_against(9_000, tmp_path)
    assert code == 1
    assert '503 {"beat_age_ms":9000}' in errors


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::", "http://[::]:80"), ("fe80::1", "http://[fe80::1]:80")],
)
def test_address_when_it_is_shown_then_one_of_ipv6_is_in_brackets(host: str, url: str) -> None:
    assert url_of(host, 80) == url


@pytest.mark.parametrize(
    ("host", "written"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("10.0.0.9", "http://10.0.0.9:80")],  # noqa: S104
)
def test_address_when_it_is_any_then_this_machine_s_own_is_written(tmp_path: Path, host: str, written: str) -> None:
    assert "No such file or directory" in write_address(tmp_path / "none", host, 80)
    assert write_address(tmp_path, host, 80) == ""
    assert address_in(tmp_path) == f"{written}/healthz"


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://[::1/", "http://127.0.0.1:99999/"])
def test_healthcheck_when_the_address_is_none_then_says_how_to_write_it(url: str) -> None:
    assert "write it like http://127.0.0.1:8080/healthz" in check(url)


def test_command_when_a_daemon_of_the_state_is_asked_for_then_says_why_it_is_not_healthy(
    tmp_path: Path, capsys: Capsys
) -> None:
    words = ["healthcheck", "--state-dir", str(tmp_path)]
    assert main(words) == 1
    assert f"healthcheck: {tmp_path}/http-address is not there: no daemon has run here" in capsys.readouterr().err
    write_address(tmp_path, "127.0.0.1", 1)
    assert main(words) == 1
    assert "healthcheck: http://127.0.0.1:1/healthz: no answer" in capsys.readouterr().err


def test_healthcheck_when_nobody_listens_then_exits_1() -> None:
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "http://127.0.0.1:1/healthz"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no answer" in done.stderr


def test_healthcheck_when_imported_then_loads_the_standard_library_only() -> None:
    code = f"import sys, {MODULE}; print([m for m in ('aiohttp', 'pydantic', 'msgspec', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
