"""`tidegate run`, the daemon, and `tidegate sandbox`, a venue's local exchange by itself."""

from __future__ import annotations

import argparse
import asyncio
import sys

from framework.cli.config import load_from
from framework.cli.ledger import state_directory
from framework.config.plugins import Plugins
from framework.config.resolve import resolve
from framework.domain.errors import ConfigurationError, Fatal, suggestion
from framework.domain.loading import load_late
from framework.ops.healthcheck import ADDRESS_NAME, address_in, check

PREFLIGHT = "framework.cli.preflight:refuse_offline"
DAEMON = "framework.daemon:run"
RUN_OPTIONS = "framework.daemon:RunOptions"


def check_and_run(options: argparse.Namespace) -> int:
    """Check the configuration, then run the daemon until it stops, and return the daemon's exit code.

    Raises `ConfigurationError` for a configuration, a plugin or a state directory that can't be used, and what the
    daemon raises before it runs, such as `StateInUse`.
    """
    resolved = resolve(load_from(options))
    # Late: a wrong configuration is reported at once, before the trading parts load.
    asyncio.run(load_late(PREFLIGHT)(resolved))
    run_options = load_late(RUN_OPTIONS)(
        signals=options.signals,
        duration_s=options.duration,
        live=options.live,
        show_status=not options.no_status,
        has_tracebacks=options.debug,
    )
    return int(load_late(DAEMON)(resolved, run_options))


def healthcheck(options: argparse.Namespace) -> int:
    """Ask the running daemon of the state directory whether its event loop runs, and return 0 when it does.

    Raises `ConfigurationError` for a configuration that can't be used, and `Fatal` with the reason when it is not
    healthy.
    """
    directory = state_directory(options)
    address = address_in(directory)
    reason = check(address) if address else f"{directory / ADDRESS_NAME} is not there: no daemon has run here"
    if reason:
        raise Fatal(f"healthcheck: {reason}")
    sys.stdout.write(f"healthy: {address}\n")
    return 0


def run_sandbox(options: argparse.Namespace) -> int:
    """Run the sandbox of the named venue with the rest of the command line, and return its exit code.

    The venue is looked for where `Plugins.venues` does. Raises `ConfigurationError` for a venue that is not there or
    ships no sandbox.
    """
    plugins = Plugins(load_from(options).config.plugin_paths)
    found = plugins.venues()
    if options.venue not in found:
        raise ConfigurationError(
            f'sandbox: no venue "{options.venue}" with a sandbox; {suggestion(options.venue, found)}'
        )
    plugin = plugins.connector(found[options.venue])
    if not plugin.sandbox_module:
        raise ConfigurationError(f"sandbox: {plugin.use} ships no sandbox; {suggestion(options.venue, found)}")
    return int(plugins.module(f"{plugin.sandbox_module}.__main__").main(options.arguments))
