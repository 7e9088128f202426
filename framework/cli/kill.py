"""`tidegate kill`: the latch, and the end of every open order, in a process of its own.

Whatever is heavy is loaded after the latch is set and while the daemon is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.cli.tables import print_json, print_lines
from framework.domain.errors import EXIT_ORDERS_LEFT, ConfigurationError, suggestion
from framework.domain.loading import load_late
from framework.domain.operator_requests import BY_THE_OPERATOR, OPERATOR, Kill
from framework.kill.daemon_watch import DaemonWatch
from framework.runtime.clock import SystemClock
from framework.runtime.kill_latch import KillLatch

LATE_CONFIGURATION = "framework.cli.config:load_from"
LATE_ACCOUNTS = "framework.config.resolve:resolve_accounts"
LATE_PROCESS = "framework.kill.process:kill_accounts"
STATE_DIR = "TIDEGATE_STATE_DIR"


def kill(options: argparse.Namespace) -> int:
    """Set the latch, end every open order of the venues, and print a line for each. `EXIT_ORDERS_LEFT` when it is not
    known of one that nothing is open there any more.

    With `--state-dir`, or the variable for it, the latch is set before the configuration is read. Raises
    `ConfigurationError` for a configuration that can't be used, and for a venue that it does not have.
    """
    clock, request = SystemClock(), Kill(venue=options.venue, reason=options.reason or BY_THE_OPERATOR, by=OPERATOR)
    known = options.state_dir or os.environ.get(STATE_DIR)
    begun = _begin(Path(known), request, clock) if known and not options.set else None
    loaded = load_late(LATE_CONFIGURATION)(options)
    directory = loaded.config.state_dir
    if options.venue not in ("", *loaded.config.venues):
        meant = suggestion(options.venue, list(loaded.config.venues))
        raise ConfigurationError(f'kill: there is no venue "{options.venue}"; {meant}')
    since_ns, watch = begun or _begin(directory, request, clock)
    accounts, problems = load_late(LATE_ACCOUNTS)(loaded, [options.venue] if options.venue else ())
    if not accounts and not problems:
        raise ConfigurationError(f"kill: {options.venue or 'every venue'} is switched off in this configuration")
    process = load_late(LATE_PROCESS)(
        accounts, directory, watch, since_ns=since_ns, is_live=loaded.config.live, why=request, say=_warn
    )
    outcomes = asyncio.run(process)
    _show(options, outcomes, problems)
    return 0 if all(one.is_ended for one in outcomes) and not problems else EXIT_ORDERS_LEFT


def _begin(directory: Path, request: Kill, clock: SystemClock) -> tuple[int, DaemonWatch]:
    """Set the latch and ask the daemon; the monotonic time of the latch, and what asks. A latch that can't be made
    durable is said, and the orders are ended all the same."""
    try:
        KillLatch(directory).set(request.venue, by=request.by, reason=request.reason, now_ns=clock.now_ns())
    except OSError as e:
        _warn(f"the kill latch can't be made durable in {directory}: {e.strerror or e}")
    since_ns = clock.monotonic_ns()
    watch = DaemonWatch(directory, request)
    watch.start()
    return since_ns, watch


def _warn(line: str) -> None:
    sys.stderr.write(f"tidegate: {line}\n")


def _show(options: argparse.Namespace, outcomes: Sequence[Any], problems: Sequence[str]) -> None:
    for problem in problems:
        _warn(problem)
    if options.json:
        print_json(outcomes)
    else:
        print_lines([one.text for one in outcomes])
