"""`tidegate venue NAME WORDS…`: what a venue keeps for an account beside orders, such as its leverage."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from framework.cli.config import load_from
from framework.cli.dry_run import VENUE_S_MAX
from framework.config.resolve import ResolvedVenue, resolve
from framework.domain.errors import (
    AccountRefused,
    ConfigurationError,
    OutcomeUnknown,
    RefusedByVenue,
    Retryable,
    TidegateError,
)
from framework.runtime.clock import SystemClock, system_rng
from framework.venues import refuse_assumed_signing, refuse_remote, venue_named

Operate = Callable[..., Awaitable[Sequence[str]]]


def operate(options: argparse.Namespace) -> int:
    """Have the venue do what the words ask for, and print what came of it.

    Raises `ConfigurationError` for a venue that the configuration does not have or that has nothing of the kind, for
    one outside this machine without both permissions, and for what it refuses; `TidegateError` without an answer.
    """
    resolved = resolve(load_from(options))
    venue = venue_named(resolved.venues, options.venue, word="venue")
    if venue.plugin.operate is None:
        raise ConfigurationError(f"venue {venue.name}: there is nothing to set at {venue.row.use}")
    if venue.row.embedded_sandbox:
        raise ConfigurationError(
            f"venue {venue.name}: its embedded sandbox runs with the daemon only; start it with `tidegate sandbox` and "
            "give its address in the settings"
        )
    is_live = options.live and resolved.config.live
    for line in asyncio.run(_ask(venue, venue.plugin.operate, options.words, is_live=is_live)):
        sys.stdout.write(f"{line}\n")
    return 0


async def _ask(venue: ResolvedVenue, operate: Operate, words: list[str], *, is_live: bool) -> list[str]:
    clock, rng = SystemClock(), system_rng()
    connector = venue.connector(clock=clock, rng=rng)
    refuse_remote(connector, is_allowed=is_live, what="changing an account")
    refuse_assumed_signing(connector, is_accepted=venue.row.accept_assumptions)
    further = {"proxy": venue.row.proxy} if venue.row.proxy else {}
    try:
        async with asyncio.timeout(VENUE_S_MAX):
            return list(await operate(venue.settings, words, clock=clock, rng=rng, **further))
    except TimeoutError as e:
        raise TidegateError(f"venue {venue.name}: no answer in {VENUE_S_MAX:g} s; it may have been done") from e
    except (AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable) as e:
        raise TidegateError(f"venue {venue.name}: {e}") from e
    finally:
        await connector.close()
