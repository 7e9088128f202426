"""The command: its ready line, its files, its signals."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.kalshi.sandbox.__main__ import main
from tests.support.command_line import Capsys

FIELDS = {
    "ready",
    "venue",
    "rest_url",
    "ws_url",
    "admin_url",
    "key_id",
    "private_key_path",
    "ed25519_key_id",
    "ed25519_private_key_path",
    "read_only_key_id",
    "dialect",
}


async def run_once(directory: Path, number: signal.Signals) -> tuple[dict[str, Any], int]:
    """Run the command until it is ready, ask it something, end it with a signal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "connectors.kalshi.sandbox", "--dir", str(directory), "--markets", "2", "--seed", "5"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        info = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        async with aiohttp.ClientSession() as session, session.get(info["rest_url"] + "/markets") as response:
            assert len((await response.json())["markets"]) == 2
        process.send_signal(number)
        status = await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return info, status


async def test_command_when_started_and_signalled_then_ready_line_keys_and_status_zero(tmp_path: Path) -> None:
    info, status = await run_once(tmp_path, signal.SIGTERM)
    assert status == 0
    assert set(info) == FIELDS
    assert json.loads((tmp_path / "sandbox.json").read_text()) == info
    assert (info["ready"], info["venue"]) == (True, "kalshi")
    assert info["ws_url"].endswith("/trade-api/ws/v2")
    for name in ("private_key_path", "ed25519_private_key_path"):
        assert stat.S_IMODE(Path(info[name]).stat().st_mode) == 0o600
    again, status = await run_once(tmp_path, signal.SIGINT)
    assert (status, again["key_id"], again["ed25519_key_id"]) == (0, info["key_id"], info["ed25519_key_id"])


def test_command_when_port_is_taken_then_status_two_and_a_reason(
    tmp_path: Path, capsys: Capsys, taken_port: int
) -> None:
    assert main(["--dir", str(tmp_path), "--port", str(taken_port)]) == 2
    assert "sandbox kalshi:" in capsys.readouterr().err


def test_command_when_tier_is_unknown_then_usage_error(capsys: Capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--tier", "gold"])
    assert ended.value.code == 2
    assert "prestige" in capsys.readouterr().err
