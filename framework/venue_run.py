"""The run of one venue account: brought up, kept up, and brought up again after the venue has refused the account.

Whatever one venue does, the others wait for none of it. Only what makes the whole daemon unsafe (`Fatal`) ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from functools import partial
from typing import Any

import msgspec
import structlog

from framework.domain.errors import (
    AccountRefused,
    ConfigurationError,
    Fatal,
    OutcomeUnknown,
    RefusedByVenue,
    Retryable,
    describe_error,
)
from framework.domain.market_events import ConnectorStatus, TermsDeclared
from framework.domain.ports import Clock
from framework.domain.venue import KeyRights, Right, UnknownRights, notes_on, rights_in
from framework.engine.kernel import Kernel
from framework.reconciliation.ports import leave
from framework.runtime.supervisor import Supervisor
from framework.shutdown import VenueConnection
from framework.venues import BookWatch, key_rights_of, not_defined_again, refuse_withdrawals

RETRY_S = 60.0
"""How long a venue is left alone that has refused the account, or can't be used as it is configured."""

KEY_CHECK_S = 86_400.0
"""How often a venue is asked what the account's key may do, beside each time that it comes up."""

_log = structlog.get_logger("daemon")


class VenueRunPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of one venue needs of its daemon.

    `starting` holds the names of the venues that are not up: the run takes its own out and puts it back. `trouble` says
    of each why it is not, in a sentence; `unusable` says so while the venue is left alone. `is_only`: without this
    venue the daemon has none. `allow_withdraw_keys`: whether a key may be used that can withdraw.
    """

    kernel: Kernel
    clock: Clock
    supervisor: Supervisor
    watch: BookWatch
    starting: set[str]
    trouble: MutableMapping[str, str]
    unusable: MutableMapping[str, str]
    is_only: bool
    retry_s: float = RETRY_S
    key_check_s: float = KEY_CHECK_S
    allow_withdraw_keys: bool = False


class VenueRun:
    """Runs one venue account. `run` until cancelled; `refuse` when a request was answered by a refusal of the
    account."""

    def __init__(self, connection: VenueConnection, ports: VenueRunPorts) -> None:
        self._name = connection.connector.venue
        self._connection = connection
        self._ports = ports
        self._refused = asyncio.Event()
        self._refusal = AccountRefused("")
        self._has_dispatcher = False
        self._key_rights: KeyRights | UnknownRights | None = None

    def __repr__(self) -> str:
        return f"<VenueRun {self._name} {self._ports.trouble.get(self._name, '')!r}>"

    def refuse(self, error: AccountRefused) -> None:
        """The venue has refused the account: stand down, and come up again as soon as it is taken. Returns at once."""
        self._refusal = error
        self._refused.set()

    async def run(self) -> None:
        """Bring the venue up and keep comparing with it, until cancelled.

        What it refuses the account for, and, where there are other venues, what can't be used as it is configured and
        what is wrong in its connector, stops this venue alone: no order leaves for it, and it is tried again each
        minute. Raises `Fatal`, and of the only venue what a part of it raises.
        """
        while True:
            try:
                await self._live()
            except AccountRefused as e:
                await self._stand_down(f"it refuses the account: {e}")
            except ConfigurationError as e:
                if self._ports.is_only:
                    raise self._named(e) from e
                await self._stand_down(f"it can't be used as it is configured: {e}")
            except Exception as e:
                if self._ports.is_only or isinstance(e, Fatal):
                    raise
                await self._stand_down(f"its connector failed: {describe_error(e)}")

    def _named(self, error: ConfigurationError) -> ConfigurationError:
        """The error with the table of the configuration that it is about."""
        table, text = f"venues.{self._name}", str(error)
        return error if text.startswith(table) else ConfigurationError(f"{table}.settings: {text}")

    async def _live(self) -> None:
        known = self._ports.kernel.dependencies.accounts.instruments
        earlier, connector = dict(known), self._connection.connector
        await self._until_it_works(partial(connector.start, self._ports.kernel.publish))
        key_check_s = await self._try_key()
        self._refused.clear()
        self._connection.dispatcher.account_accepted()
        self._dispatch()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._begin(tasks, "streams", connector.run())
                self._begin(tasks, "books", self._ports.watch.run())
                tasks.create_task(self._until_refused(), name=f"{self._name} account")
                tasks.create_task(self._keep_trying_key(key_check_s), name=f"{self._name} key")
                for one in not_defined_again(self._name, earlier, known):
                    # A connector that was written before there was `reread` goes on without it.
                    getattr(connector, "reread", leave)(one)
                await self._until_it_works(self._connection.reconciler.once)
                self._come_up()
                await self._connection.reconciler.run()
        except BaseExceptionGroup as group:
            raise _root_error(group) from group

    async def _check_key(self) -> None:
        """Ask what the key may do. One that may not trade brings data only: the gate refuses every order, as the venue
        would. Raises `ConfigurationError` for one that can withdraw, unless that is allowed."""
        kernel, connector = self._ports.kernel, self._connection.connector
        rights = await key_rights_of(connector)
        refuse_withdrawals(self._name, rights, is_allowed=self._ports.allow_withdraw_keys)
        known, terms = rights_in(rights), kernel.dependencies.view.terms(self._name)
        may_trade = known is None or Right.TRADE in known
        if may_trade != terms.trading:
            terms = msgspec.structs.replace(terms, trading=may_trade)
            kernel.publish(TermsDeclared(self._name, terms, self._ports.clock.now_ns()))
        if rights == self._key_rights:
            return
        self._key_rights = rights
        _log.info("key", venue=self._name, may="unknown" if known is None else sorted(one.value for one in known))
        for note in notes_on(rights) if known is not None or not connector.is_loopback else ():
            _log.warning("key", venue=self._name, note=note)

    async def _try_key(self) -> float:
        """Ask what the key may do, and return in how many seconds to ask again. A venue that does not say it now is
        traded all the same: its orders must not wait for that."""
        try:
            await self._check_key()
        except (Retryable, OutcomeUnknown, RefusedByVenue) as e:
            delay_s = min(self._ports.key_check_s, self._ports.retry_s)
            _log.warning("what the key may do can't be asked now", venue=self._name, reason=str(e), after_s=delay_s)
            return delay_s
        return self._ports.key_check_s

    async def _keep_trying_key(self, delay_s: float) -> None:
        while True:
            await asyncio.sleep(delay_s)
            delay_s = await self._try_key()

    def _dispatch(self) -> None:
        """Begin to send requests, once: what is under way is answered also while the venue is left alone, and cancels
        go on being tried."""
        if not self._has_dispatcher:
            self._has_dispatcher = True
            self._ports.supervisor.spawn(f"{self._name} dispatch", self._connection.dispatcher.run())

    async def _until_refused(self) -> None:
        await self._refused.wait()
        raise self._refusal

    def _begin(self, tasks: asyncio.TaskGroup, part: str, work: Coroutine[Any, Any, Any]) -> None:
        tasks.create_task(self._for_ever(part, work), name=f"{self._name} {part}")

    async def _for_ever(self, part: str, work: Coroutine[Any, Any, Any]) -> None:
        await work
        raise Fatal(f"task {self._name} {part} ended by itself")

    def _come_up(self) -> None:
        if self._ports.unusable.pop(self._name, None) is not None:
            _log.info("venue is up again", venue=self._name)
        self._ports.starting.discard(self._name)

    async def _stand_down(self, reason: str) -> None:
        """Let nothing leave for this venue: it counts as not connected, whatever its streams would say. Orders and
        halts of operators stay as they are."""
        ports = self._ports
        ports.starting.add(self._name)
        ports.trouble[self._name] = ports.unusable[self._name] = reason
        ports.kernel.publish(ConnectorStatus(self._name, False, reason, ports.clock.now_ns()))
        what = f"venue {self._name} trades no more: {reason}; it is tried again each minute, the others go on"
        _log.error("alarm", what=what)
        await asyncio.sleep(ports.retry_s)

    async def _until_it_works(self, attempt: Callable[[], Awaitable[object]]) -> None:
        delay_s = 0.5
        while True:
            try:
                await attempt()
            except (Retryable, OutcomeUnknown, RefusedByVenue) as e:
                self._ports.trouble[self._name] = str(e)
                _log.warning("venue is not ready; trying again", venue=self._name, reason=str(e), after_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 15.0)
            else:
                self._ports.trouble.pop(self._name, None)
                return


def _root_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the tasks: what ends the daemon before what ends the venue's run, that before any other."""
    leaves = list[BaseException]()
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        waiting += error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        leaves += () if isinstance(error, BaseExceptionGroup) else (error,)
    for kind in (Fatal, AccountRefused):
        found = next((leaf for leaf in leaves if isinstance(leaf, kind)), None)
        if found is not None:
            return found
    return leaves[0]
