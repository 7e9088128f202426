"""The command line of a sandbox: print one JSON line with its addresses and keys, then serve until a signal.

A venue's options are a frozen dataclass of its own. A field made by `option` is an option of the command line; the
fields that every sandbox has need no `option`.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
PARENT_CHECK_S = 0.5

COMMON: dict[str, dict[str, Any]] = {
    "directory": {"flags": ("--dir", "--directory"), "help": "keys and sandbox.json go here (default: a fresh one)"},
    "host": {"help": "address to listen on (default 127.0.0.1)"},
    "port": {"help": "port; 0 takes a free one (default)"},
    "seed": {"help": "seed of markets and order flow (default 1)"},
    "markets": {"help": "number of markets"},
    "speed": {"help": "pace of the order flow; 0 stops it (default 1)"},
    "read_lag_ms": {
        "flags": ("--read-lag",), "metavar": "MS", "help": "let reads of own data lag writes by MS milliseconds",
        "least": 0,
    },
}  # fmt: skip
"""The options that mean the same at every sandbox: field -> how it is an option."""

DAEMONS = frozenset({"seed", "markets", "speed"})
"""What the daemon gives every embedded sandbox: taken, and ignored by one whose options don't have it."""

Options = TypeVar("Options")


class Startable(Protocol):
    """A sandbox that can be run: `SandboxServer`, or what a venue has around it."""

    async def start(self) -> Any:
        """Open the port; returns the ready line as data."""
        ...

    async def failed(self) -> None:
        """Wait until it fails by itself, and raise its error."""
        ...

    async def stop(self) -> None:
        """End everything that `start` began."""
        ...


def option(
    default: Any,
    text: str,
    *,
    flag: str = "",
    metavar: str | None = None,
    choices: Sequence[str] | None = None,
    least: int | None = None,
) -> Any:
    """A field that is an option of the command line: `text` is its help, `flag` its name when it is not the field's,
    `least` the smallest number that is taken.

    A default of False makes a switch; a default of None takes a whole number.
    """
    how: dict[str, Any] = {"help": text}
    if flag:
        how["flags"] = (flag,)
    if metavar:
        how["metavar"] = metavar
    if choices:
        how["choices"] = list(choices)
    if least is not None:
        how["least"] = least
    return field(default=default, metadata={"option": how})


def run_sandbox(
    name: str, options: type[Options], make: Callable[[Options], Startable], arguments: Sequence[str] | None
) -> int:
    """Parse `arguments` (the process's own when None) into `options`, make the sandbox and serve; the exit status.

    0 after a signal, 2 when the options or the port cannot be used. With `--with-parent` it also ends when the process
    that started it is gone. Raises `SystemExit` for options that do not exist or have wrong values.
    """
    parser = argparse.ArgumentParser(prog=f"tidegate sandbox {name}", description=f"Run a local {name} exchange.")
    for one in fields(options):  # type: ignore[arg-type]  # a dataclass, which the type system can't ask for
        _add(parser, one)
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the process that started it ends, however that ends"
    )
    ignored = DAEMONS - {one.name for one in fields(options)}  # type: ignore[arg-type]  # a dataclass, as above
    for unused in sorted(ignored):
        parser.add_argument(f"--{unused}", help="has no meaning at this venue")
    parsed = vars(parser.parse_args(arguments))
    for unused in ignored:
        del parsed[unused]
    parent = os.getppid() if parsed.pop("with_parent") else None
    # Absolute: what it prints is copied into files that lie elsewhere.
    parsed["directory"] = (parsed["directory"] or Path(tempfile.mkdtemp(prefix=f"tidegate-sandbox-{name}-"))).absolute()
    try:
        asyncio.run(_serve(lambda: make(options(**parsed)), parent=parent))
    except (ValueError, OverflowError, OSError) as error:
        print(f"sandbox {name}: {_in_words(error, parsed)}", file=sys.stderr)
        return 2
    return 0


def _in_words(error: Exception, parsed: dict[str, Any]) -> str:
    """What is wrong with the options, which one, and what to do; a venue's own words as they are."""
    if isinstance(error, OverflowError):
        return f"--port: {parsed['port']}: is no port; give 0 to 65535, 0 takes a free one"
    if not isinstance(error, OSError):
        return str(error)
    number = error.errno or 0
    why = os.strerror(number) if number in errno.errorcode else str(error)
    if error.filename is not None:
        return f"--dir: {parsed['directory']}: can't be used ({why}); choose another folder"
    return (
        f"--port: {parsed['host']}:{parsed['port']}: can't be listened on ({why}); choose another, 0 takes a free one"
    )


def _add(parser: argparse.ArgumentParser, one: Field[Any]) -> None:
    how: dict[str, Any] | None = one.metadata.get("option") or COMMON.get(one.name)
    if how is None:
        return
    default = None if one.default is MISSING else one.default
    flags = how.get("flags", (f"--{one.name.replace('_', '-')}",))
    rest = {name: value for name, value in how.items() if name not in ("flags", "least")}
    if default is False:
        parser.add_argument(*flags, dest=one.name, action="store_true", **rest)
        return
    kind: Callable[[str], Any] = Path if one.name == "directory" else int if default is None else type(default)
    if "least" in how:
        kind = partial(_number, least=how["least"])
    parser.add_argument(*flags, dest=one.name, type=kind, default=default, **rest)


def _number(text: str, *, least: int) -> int:
    """A whole number that is not below `least`, said as argparse says it."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number, {least} or more")
    return number


async def _parent_gone(parent: int | None) -> None:
    """Return when this process has been left to another parent; never without one to watch."""
    while parent is None or os.getppid() == parent:  # noqa: ASYNC110 - the system has no event for it
        await asyncio.sleep(PARENT_CHECK_S)


async def _serve(make: Callable[[], Startable], *, parent: int | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` wants it
            loop.add_signal_handler(number, stopped.set)
    sandbox = make()
    ready = await sandbox.start()
    try:
        print(msgspec.json.encode(ready).decode(), flush=True)
        waits = [asyncio.create_task(wait) for wait in (stopped.wait(), sandbox.failed(), _parent_gone(parent))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    finally:
        await sandbox.stop()
