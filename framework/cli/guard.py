"""`tidegate guard`: a process beside the daemon that ends its orders when it falls silent."""

from __future__ import annotations

import argparse
import asyncio
import sys

from framework.cli.config import load_from
from framework.cli.tables import time_text
from framework.config.resolve import resolve_accounts
from framework.domain.errors import ConfigurationError
from framework.kill.guard import Guard, GuardSpec
from framework.runtime.clock import SystemClock

TIMEOUT_S_MIN = 1.0
"""Shorter silences are those of a loop that is busy."""


def guard(options: argparse.Namespace) -> int:
    """Watch the heartbeat until this process is ended. Never returns by itself.

    Raises `ConfigurationError` for a configuration that can't be used, a venue whose orders can't be ended, and a time
    that is too short.
    """
    if options.timeout < TIMEOUT_S_MIN:
        raise ConfigurationError(f"--timeout: {options.timeout:g} is too short; give {TIMEOUT_S_MIN:g} s or more")
    loaded, clock = load_from(options), SystemClock()
    accounts, problems = resolve_accounts(loaded)
    if problems:
        raise ConfigurationError("\n".join(problems))

    def say(line: str) -> None:
        sys.stdout.write(f"{time_text(clock.now_ns())} guard: {line}\n")
        sys.stdout.flush()

    spec = GuardSpec(
        directory=loaded.config.state_dir,
        accounts=accounts,
        timeout_s=options.timeout,
        is_live=loaded.config.live,
    )
    watching = Guard(spec, clock, say)
    for line in watching.limits():
        say(line)
    say(f"every order is ended after {options.timeout:g} s without a heartbeat in {spec.directory}")
    asyncio.run(watching.run())
    return 0
