"""A venue's local exchange in a process of its own, started and stopped with the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from framework.domain.errors import Fatal
from framework.runtime.files import RealFiles, write_atomically

READY_S_MAX = 30.0
_SAID_CHARS_MAX = 200
STOP_S_MAX = 0.5
"""Longest time for an orderly end, in seconds: nothing that it holds outlives it, and it may be what hangs."""


class SandboxProcess:
    """One running sandbox. `ready` is the line that it printed when it was ready to trade."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Mapping[str, Any]) -> None:
        self._process = process
        self.ready = ready

    @classmethod
    async def start(
        cls, module: str, arguments: Sequence[str], log: Path, *, folders: Sequence[Path] = ()
    ) -> SandboxProcess:
        """Run `python -m module arguments… --with-parent` and wait for its ready line. Its own log goes to `log`.

        It gets a session of its own: Ctrl-C at the terminal stops the daemon, which still needs the venue to cancel
        at, and the daemon stops the sandbox; `--with-parent` makes it end with a daemon that is killed. A module of a
        plugin is looked for in `folders`, behind everything that is installed. Raises `Fatal`
        when it ends, or prints no ready line within 30 s.
        """
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_run(module, folders), *arguments, "--with-parent"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert process.stdout is not None  # noqa: S101 - asked for with PIPE
        try:
            async with asyncio.timeout(READY_S_MAX):
                line = await process.stdout.readline()
            return cls(process, msgspec.json.decode(line, type=dict[str, Any]))
        except BaseException as e:
            if process.returncode is None:
                process.kill()
            await process.wait()
            if isinstance(e, (TimeoutError, msgspec.DecodeError, msgspec.ValidationError)):
                raise Fatal(f"{module}: the sandbox did not become ready; its log is {log}{_last_line(log)}") from None
            raise

    @property
    def pid(self) -> int:
        """The process id of the sandbox, also after it has ended."""
        return self._process.pid

    async def wait(self) -> int:
        """Return its exit code when it ends."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and kill it after `STOP_S_MAX` seconds. Does nothing when it has ended already."""
        if self._process.returncode is not None:
            return
        # It may end by itself at the very moment at which it is to be ended.
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def keep_settings(directory: Path, venue: str, settings: Mapping[str, Any]) -> None:
    """Leave the settings that lead to a venue's embedded sandbox in the state directory, readable by the owner alone:
    a process beside the daemon finds its address and keys there. Raises `OSError`."""
    files, path = RealFiles(), _settings_path(directory, venue)
    files.make_directory(path.parent)
    write_atomically(files, path, msgspec.json.encode(settings))


def forget_settings(directory: Path, venue: str) -> None:
    """Take them away: the sandbox ends."""
    with contextlib.suppress(OSError):
        _settings_path(directory, venue).unlink(missing_ok=True)


def read_settings(directory: Path, venue: str) -> Mapping[str, Any]:
    """The settings that lead to a venue's embedded sandbox. Raises `Fatal` when none were left: no daemon runs."""
    try:
        return msgspec.json.decode(_settings_path(directory, venue).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as e:
        raise Fatal(
            f"venues.{venue}: its embedded sandbox does not run: it ends with its daemon, and its orders with it"
        ) from e


def _settings_path(directory: Path, venue: str) -> Path:
    return directory / "venues" / f"{venue}.json"


def _last_line(log: Path) -> str:
    """What a sandbox said last, for a message; empty when it said nothing."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {said[:_SAID_CHARS_MAX]}" if said else ""


def _run(module: str, folders: Sequence[Path]) -> Sequence[str]:
    """The interpreter's arguments that run a module as `python -m` does.

    `PYTHONPATH` would put a plugin's folder before our own packages.
    """
    if not folders:
        return ("-m", module)
    return ("-c", _RUN_IN_FOLDERS, module, str(len(folders)), *map(str, folders))


_RUN_IN_FOLDERS = """
import runpy, sys
module, count = sys.argv[1], int(sys.argv[2])
sys.path += sys.argv[3 : 3 + count]
sys.argv = [module, *sys.argv[3 + count :]]
runpy.run_module(module, run_name="__main__")
"""
