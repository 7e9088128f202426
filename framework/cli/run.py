"""`tidegate run` and `tidegate sandbox`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Sequence
from typing import cast

from framework.cli.config import load_from
from framework.config.errors import suggestion
from framework.config.resolve import resolve
from framework.domain.errors import ConfigurationError
from framework.runtime.state_directory import refuse_sandbox_records

CONNECTORS = "connectors"
DAEMON = "framework.daemon"


def run(options: argparse.Namespace) -> int:
    """Check everything, then run the daemon until it stops; its exit code is ours."""
    resolved = resolve(load_from(options))
    if not resolved.is_embedded:
        refuse_sandbox_records(resolved.config.state_dir)
    # Loaded by name and late: a configuration that is wrong is told at once, before the trading parts load.
    run_daemon = cast(Callable[..., int], importlib.import_module(DAEMON).run)
    return run_daemon(resolved, duration_s=options.duration, live=options.live, show_status=not options.no_status)


def run_sandbox(options: argparse.Namespace) -> int:
    """Hand the rest of the command line to the venue's sandbox."""
    venues = sandbox_venues()
    if options.venue not in venues:
        raise ConfigurationError(
            f'sandbox: no venue "{options.venue}" with a sandbox; {suggestion(options.venue, venues)}'
        )
    command = importlib.import_module(f"{CONNECTORS}.{options.venue}.sandbox.command")
    return cast(Callable[[Sequence[str]], int], command.main)(options.arguments)


def sandbox_venues() -> list[str]:
    """The venues that ship a sandbox."""
    package = importlib.import_module(CONNECTORS)
    names = [found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg]
    return [name for name in names if importlib.util.find_spec(f"{CONNECTORS}.{name}.sandbox") is not None]
