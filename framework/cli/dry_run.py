"""A dry reconciliation without a daemon: state is rebuilt by replaying its journal, the venues are asked, and nothing
is changed anywhere.

No lock is held, no epoch taken, no record written, and only reads are signed.
"""

from __future__ import annotations

import argparse
import asyncio
from functools import partial

from framework.cli.config import load_from
from framework.config.resolve import Resolved, ResolvedVenue, resolve
from framework.domain.account_events import InstrumentDefined, InstrumentSettled
from framework.domain.errors import AccountRefused, ConfigurationError, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.operator_requests import Answer
from framework.domain.venue import Connector
from framework.own_budget import OwnBudget
from framework.persistence.journal.restore import read_accounts
from framework.reconciliation.differences import Difference, compare, reconcile_answer
from framework.reconciliation.fill_query import FillQuery
from framework.runtime.clock import SystemClock, system_rng
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, refuse_other_account
from framework.state.accounts import Accounts
from framework.venues import refuse_remote

VENUE_S_MAX = 60.0
"""Longest time for one venue, its paging and rate limits included, in seconds."""


def dry_run(options: argparse.Namespace) -> Answer:
    """Compare the journal of the configuration's state directory with its venues.

    An answer with `is_ok` False names each venue that could not be asked now. Raises `ConfigurationError` for a venue
    that can't be asked without its daemon and for an account that is not the journal's, `JournalError` when the journal
    can't be read.
    """
    resolved = resolve(load_from(options))
    accounts = read_accounts(RealFiles(), resolved.config.state_dir / JOURNAL_NAME)
    return asyncio.run(_compare(resolved, accounts, is_live=options.live))


async def _compare(resolved: Resolved, accounts: Accounts, *, is_live: bool) -> Answer:
    clock = SystemClock()
    differences: list[Difference] = []
    troubles: list[str] = []
    for venue in resolved.venues:
        budget = OwnBudget(venue.name, clock=clock, follow=partial(_define, accounts))
        connector = _connector(venue, clock, budget, is_live=is_live and resolved.config.live)
        try:
            refuse_other_account(RealFiles(), resolved.config.state_dir / JOURNAL_NAME, venue.name, connector.account)
            async with asyncio.timeout(VENUE_S_MAX):
                differences += await _ask(
                    connector, accounts, clock, budget, drift_ms_max=resolved.config.kernel.reconcile_grace_ms
                )
        except (AccountRefused, Retryable, OutcomeUnknown, RefusedByVenue, TimeoutError) as e:
            troubles.append(f"{venue.name} can't be asked now: {e or 'no answer in time'}")
        finally:
            await connector.close()
    return reconcile_answer(differences, troubles, clock, agreed="the venues and the journal agree")


async def _ask(
    connector: Connector, accounts: Accounts, clock: SystemClock, budget: OwnBudget, *, drift_ms_max: int
) -> list[Difference]:
    await connector.start(budget.publish)
    venue, gateway = connector.venue, connector.gateway
    fill_query = FillQuery(venue, gateway, accounts, clock)
    return await compare(venue, gateway, accounts, fill_query=fill_query, clock=clock, drift_ms_max=drift_ms_max)


def _define(accounts: Accounts, event: Event) -> None:
    """Of what the connector publishes at its start only instruments matter here: their definitions give amounts their
    decimals, and their settlements end positions."""
    if isinstance(event, InstrumentDefined | InstrumentSettled):
        accounts.apply(event, event.ts_recv)


def _connector(venue: ResolvedVenue, clock: SystemClock, budget: OwnBudget, *, is_live: bool) -> Connector:
    if venue.row.embedded_sandbox:
        raise ConfigurationError(
            f"venues.{venue.name}: its embedded sandbox lives only while its daemon does; reconcile while that runs"
        )
    connector = venue.connector(clock=clock, rng=system_rng(), turn=budget.turn)
    refuse_remote(connector, is_allowed=is_live, what="asking it")
    return connector
