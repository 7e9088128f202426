"""`tidegate sandbox kalshi`: print one JSON line with the addresses, then serve until a signal."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from connectors.kalshi.sandbox.buckets import TIERS
from connectors.kalshi.sandbox.server import KalshiSandbox, SandboxOptions

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
PARENT_CHECK_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tidegate sandbox kalshi` on `parser`."""
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument("--dir", type=Path, default=None, help="keys and sandbox.json go here (default: a fresh one)")
    parser.add_argument("--seed", type=int, default=1, help="seed of markets and order flow (default 1)")
    parser.add_argument("--markets", type=int, default=4, help="number of markets (default 4)")
    parser.add_argument("--speed", type=float, default=1.0, help="pace of the order flow; 0 stops it (default 1)")
    parser.add_argument("--tier", choices=list(TIERS), default="basic", help="usage tier: rate limits (default basic)")
    parser.add_argument(
        "--close-after", type=int, default=None, metavar="S", help="close and settle markets after S seconds"
    )
    parser.add_argument(
        "--roll-every",
        type=int,
        default=None,
        metavar="S",
        help="list a market that closes after S seconds, again and again",
    )
    parser.add_argument(
        "--read-lag", type=int, default=0, metavar="MS", help="let reads of own data lag writes by MS milliseconds"
    )
    parser.add_argument(
        "--removed-members",
        action="store_true",
        help="write markets with the members that the venue has dropped, for clients that still require them",
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the process that started it ends, however that ends"
    )


def options_from(arguments: argparse.Namespace) -> SandboxOptions:
    """The options that parsed arguments stand for; makes a temporary directory when none was named."""
    directory = arguments.dir or Path(tempfile.mkdtemp(prefix="tidegate-sandbox-kalshi-"))
    return SandboxOptions(
        directory=directory,
        port=arguments.port,
        seed=arguments.seed,
        markets=arguments.markets,
        speed=arguments.speed,
        tier=arguments.tier,
        close_after_s=arguments.close_after,
        roll_every_s=arguments.roll_every,
        removed_members=arguments.removed_members,
        read_lag_ms=arguments.read_lag,
    )


def run(options: SandboxOptions, *, with_parent: bool = False) -> int:
    """Serve until one of `SIGNALS`; the exit status: 0 after a signal, 2 when the options or the port cannot be used.

    With `with_parent` it also ends when the process that started it is gone.
    """
    try:
        asyncio.run(_serve(options, parent=os.getppid() if with_parent else None))
    except (ValueError, OverflowError, OSError) as error:
        print(f"sandbox kalshi: {error}", file=sys.stderr)
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (the process's own when None) and run; the exit status.

    Raises `SystemExit` for options that do not exist or have wrong values.
    """
    parser = argparse.ArgumentParser(prog="tidegate sandbox kalshi", description=__doc__)
    add_arguments(parser)
    parsed = parser.parse_args(arguments)
    return run(options_from(parsed), with_parent=parsed.with_parent)


async def _parent_gone(parent: int | None) -> None:
    """Return when this process has been left to another parent; never without one to watch."""
    while parent is None or os.getppid() == parent:  # noqa: ASYNC110 - the system has no event for it
        await asyncio.sleep(PARENT_CHECK_S)


async def _serve(options: SandboxOptions, *, parent: int | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` wants it
            loop.add_signal_handler(number, stopped.set)
    sandbox = KalshiSandbox(options)
    info = await sandbox.start()
    try:
        print(info.as_json(), flush=True)
        waits = [asyncio.create_task(wait) for wait in (stopped.wait(), sandbox.failed(), _parent_gone(parent))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    finally:
        await sandbox.stop()
