"""The container's health check, as a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from framework.config.model import HttpSettings
from framework.ops.http import ControlServer
from framework.ops.readiness import NotReady, NotReadyKind
from framework.state.trading_states import TradingStates

MODULE = "framework.ops.healthcheck"


async def no_metrics() -> bytes:
    return b""


async def run_against(beat_age_ms: int) -> tuple[int, str]:
    server = ControlServer(
        HttpSettings(port=0),
        render_metrics=no_metrics,
        beat_age_ns=lambda: beat_age_ms * 1_000_000,
        not_ready=lambda: [NotReady(NotReadyKind.HALTED, "irrelevant here")],
        trading=TradingStates(),
    )
    port = await server.start()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, env={"TIDEGATE_HTTP__PORT": str(port)}, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()
        return process.returncode or 0, errors.decode()
    finally:
        await server.close()


async def test_healthcheck_when_the_heart_beats_then_exits_0() -> None:
    assert await run_against(beat_age_ms=10) == (0, "")


async def test_healthcheck_when_the_heart_stopped_then_exits_1_with_the_answer() -> None:
    code, errors = await run_against(beat_age_ms=9_000)
    assert code == 1
    assert '503 {"beat_age_ms":9000}' in errors


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
