"""`tidegate run`, the daemon, and `tidegate sandbox`, a venue's local exchange by itself."""

from __future__ import annotations

import argparse

from framework.cli.config import load_from
from framework.config.plugins import shipped_venues
from framework.config.resolve import resolve
from framework.domain.errors import ConfigurationError, suggestion
from framework.domain.loading import load_late
from framework.runtime.state_directory import refuse_sandbox_records

DAEMON = "framework.daemon:run"


def check_and_run(options: argparse.Namespace) -> int:
    """Check the configuration, then run the daemon until it stops, and return the daemon's exit code.

    Raises `ConfigurationError` for a configuration, a plugin or a state directory that can't be used, and what the
    daemon raises before it runs, such as `StateInUse`.
    """
    resolved = resolve(load_from(options))
    if not resolved.is_embedded:
        refuse_sandbox_records(resolved.config.state_dir)
    # Late: a wrong configuration is reported at once, before the trading parts load.
    run_daemon = load_late(DAEMON)
    return int(run_daemon(resolved, duration_s=options.duration, live=options.live, show_status=not options.no_status))


def run_sandbox(options: argparse.Namespace) -> int:
    """Run the sandbox of the named venue with the rest of the command line, and return its exit code.

    Raises `ConfigurationError` for a venue that ships no sandbox.
    """
    venues = shipped_venues("sandbox")
    if options.venue not in venues:
        raise ConfigurationError(
            f'sandbox: no venue "{options.venue}" with a sandbox; {suggestion(options.venue, venues)}'
        )
    return int(load_late(f"connectors.{options.venue}.sandbox.command:main")(options.arguments))
