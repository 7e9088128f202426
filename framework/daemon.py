"""The composition root: the only file that names every part. Read it to see what the daemon is made of."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, closing, suppress
from importlib.metadata import version

import msgspec
import structlog

from framework.assembly import Core, assemble, core_settings, turns_of
from framework.config.model import Configuration
from framework.config.resolve import Resolved
from framework.domain.errors import EXIT_FAILED, Fatal
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import ConnectorStatus, TradePrint
from framework.domain.ports import StatefulCheck
from framework.domain.venue import Connector
from framework.engine.strategy_context import LoopTimers
from framework.execution.dispatcher import Dispatcher
from framework.execution.ports import DispatchDependencies
from framework.ops.alerts.alerts import Alerts
from framework.ops.alerts.outputs import make_outputs
from framework.ops.alerts.sources import sources_of
from framework.ops.fund_moves import LOOK, FundMoves
from framework.ops.healthcheck import url_of, write_address
from framework.ops.http import ControlServer
from framework.ops.operator_service import OperatorService
from framework.ops.prometheus import MetricsText
from framework.ops.readiness import NotReady, NotReadyKind, halt_reasons, quarantines, show_readiness, stale_books
from framework.ops.state_gauges import StateGauges
from framework.ops.status_reader import StatusReader, StatusSources
from framework.ops.status_screen import LiveStatus
from framework.ops.telemetry import Telemetry
from framework.ops.venue_share import SharedVenues
from framework.persistence.ledger.retention import Retention
from framework.persistence.recovery import Records, RecordSettings, open_records
from framework.persistence.tape import TapeSettings
from framework.reconciliation.order_inquiry import unanswered_at_restart
from framework.reconciliation.ports import ReconcileDependencies, leave
from framework.reconciliation.reconciler import Reconciler
from framework.runtime.clock import SystemClock, system_rng
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.runtime.kill_latch import KillLatch
from framework.runtime.logging import LogFile, configure_logging
from framework.runtime.metrics import Metrics
from framework.runtime.secrets import SecretRegistry
from framework.runtime.standard_streams import discard_output
from framework.runtime.state_directory import DiskUsage, lock_state, set_aside
from framework.runtime.stop_signals import StopSignals
from framework.runtime.supervisor import StopHook, Supervisor, run_to_end
from framework.shutdown import Shutdown, VenueConnection
from framework.state.books import Books
from framework.state.orders.client_order_ids import ClientOrderIds
from framework.state.purged import PurgeSchedule
from framework.strategy_starts import StrategyStarts
from framework.venue_run import VenueRun, VenueRunPorts
from framework.venues import BookWatch, VenueAccess, side_by_side, venue_named, warn_of_proxy_variables

FLUSH_S = 0.1
START_S = 0.1
"""How often it is looked whether a strategy that waits can begin."""

CLOSE_MS_MAX = 300
"""Longest time to close the connections to one venue that may hang, in milliseconds."""

_log = structlog.get_logger("daemon")


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is to go: `duration_s` None has no end, `live` allows venues outside this machine, `show_status` draws
    on a terminal, `has_tracebacks` logs them, too. `signals` are those that ask for its end."""

    signals: StopSignals
    duration_s: float | None = None
    live: bool = False
    show_status: bool = False
    has_tracebacks: bool = False


def run(resolved: Resolved, options: RunOptions) -> int:
    """Run the daemon until it is stopped; return its exit code.

    0: stopped, every order proved ended. 1: a part failed. 2: the configuration can't be used. 3: stopped, but
    orders may be left at a venue (they are listed in the log).
    """
    options.signals.install()  # nothing new, unless the command line was called as a function
    code = run_to_end(_serve(resolved, options))
    discard_output()  # a pipe that was closed meanwhile is no reason to end with another code
    return code


async def _serve(resolved: Resolved, options: RunOptions) -> int:
    config = resolved.config
    clock, secrets, metrics = SystemClock(), SecretRegistry(), Metrics()
    for value in resolved.loaded.secret_values():
        secrets.add(value)
    async with AsyncExitStack() as stack:
        state_lock = lock_state(config.state_dir)
        stack.callback(state_lock.close)
        if resolved.is_embedded:
            set_aside(config.state_dir)
        status = LiveStatus(lambda: daemon.status.read()) if options.show_status else None
        configure_logging(
            config.log.level,
            config.log.format,
            clock=clock,
            secrets=secrets,
            stream=_log_file(stack, config) if _owns_screen(status) else None,
            has_tracebacks=options.has_tracebacks,
        )
        records = _open_records(config, clock, metrics)
        stack.callback(records.close)
        daemon = Daemon(resolved, records=records, clock=clock, metrics=metrics)
        daemon.alerts.send_to(make_outputs(config.alerts, secrets))
        stack.push_async_callback(daemon.close)
        daemon.supervisor.follow(options.signals, daemon.shutdown.last_words)
        await daemon.supervisor.unless_stopped(daemon.connect(live=options.live))
        if status is not None and status.is_shown:
            daemon.supervisor.spawn("status", status.run(), is_critical=False)
        code = await daemon.supervisor.run(duration_s=options.duration_s)
        if _owns_screen(status):
            _print(daemon.status.exit_summary(daemon.supervisor.stop_reason, config.state_dir))
        return code


def _open_records(config: Configuration, clock: SystemClock, metrics: Metrics) -> Records:
    return open_records(
        RealFiles(),
        _record_settings(config),
        clock=clock,
        rng=system_rng(),
        observe_sync_ns=metrics.journal_sync.observe_ns,
    )


def _log_file(stack: AsyncExitStack, config: Configuration) -> LogFile:
    return stack.enter_context(closing(LogFile(config.state_dir / "log.jsonl")))


def _print(text: str) -> None:
    with suppress(OSError):  # the terminal may be what has closed
        sys.stdout.write(text)
        sys.stdout.flush()


def _owns_screen(status: LiveStatus | None) -> bool:
    return status is not None and status.is_shown


def _record_settings(config: Configuration) -> RecordSettings:
    return RecordSettings(
        directory=config.state_dir,
        durability=Durability(config.durability),
        tape=TapeSettings(bytes_max=config.tape.bytes_max) if config.tape.enabled else None,
        retention=Retention(**config.ledger.model_dump()),
        version=version("tidegate"),
        config_hash=hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16],
    )


class Daemon:
    """Every part, put together. `connect` once, then let the supervisor run; `close` at the end."""

    def __init__(self, resolved: Resolved, *, records: Records, clock: SystemClock, metrics: Metrics) -> None:
        self._resolved = resolved
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._venues: dict[str, VenueConnection] = {}
        self._watches: list[BookWatch] = []
        self._runs: dict[str, VenueRun] = {}
        self._unusable: dict[str, str] = {}
        self._starting: set[str] = set()
        self.supervisor = Supervisor(clock=clock, loop_lag=metrics.loop_lag, beats_in=resolved.config.state_dir)
        self._access = self._make_access()
        self._timers = LoopTimers(lambda event: self.kernel.publish(event), clock)
        self._core = self._assemble()
        self.kernel = self._core.kernel
        state, publish = resolved.config.state_dir, self.kernel.publish
        self._shared = SharedVenues(state, self._core.budgets, publish=publish, clock=clock)
        self.kernel.follow_connectors(self._on_connector)
        self._starts = StrategyStarts(resolved.strategies, self._core, is_up=self._is_up, clock=clock)
        self.shutdown = self._make_shutdown()
        self.alerts = self._make_alerts()
        self._operator_service = self._make_operator_service()
        self._trouble: dict[str, str] = {}
        self._disk_usage = DiskUsage(resolved.config.state_dir)
        self.status = self._make_status_reader()
        self._control = ControlServer(
            resolved.config.http,
            render_metrics=MetricsText(metrics, version=version("tidegate")).render,
            beat_age_ns=self.supervisor.beat_age_ns,
            not_ready=self.not_ready,
            trading=records.accounts.trading,
            waiting=self._starts.waiting,
        )
        show_readiness(metrics, self.not_ready)

    def _make_access(self) -> VenueAccess:
        return VenueAccess(
            self._resolved.config,
            clock=self._clock,
            supervisor=self.supervisor,
            missing_guards=self._resolved.missing_guards,
            turns=lambda venue: turns_of(self._core, venue, self._shared.of(venue)),
        )

    def _make_shutdown(self) -> Shutdown:
        return Shutdown(
            self.kernel,
            self._records,
            clock=self._clock,
            supervisor=self.supervisor,
            venues=self._venues,
            starting=self._starting,
            ms_max=self._resolved.config.kernel.shutdown_ms_max,
        )

    def _make_alerts(self) -> Alerts:
        sources = sources_of(
            self.kernel,
            self._metrics,
            self._telemetry,
            records=self._records,
            supervisor=self.supervisor,
            not_ready=self.not_ready,
            latches=lambda: self._operator_service.kill_watch.seen,
        )
        return Alerts(sources, self._resolved.config, files=RealFiles())

    def _make_operator_service(self) -> OperatorService:
        records, venues = self._records, self._resolved.venues
        fund_moves = FundMoves(
            self.kernel,
            self._clock,
            make=lambda venue: self._access.fund_mover(venue_named(venues, venue)),
            wait_durable=records.recorder.wait_durable,
        )
        return OperatorService(
            self.kernel,
            self._metrics,
            files=RealFiles(),
            directory=self._resolved.config.state_dir,
            strategies=self._names()[1],
            wait_durable=records.recorder.wait_durable,
            ledger_trouble=lambda: records.ledger.trouble,
            tape_trouble=lambda: records.recorder.tape_trouble,
            read_status=lambda: self.status.read(),
            fund_moves=fund_moves,
            alerts=self.alerts,
        )

    def not_ready(self) -> list[NotReady]:
        """Why the daemon is not ready to trade; empty when it is."""
        kinds = NotReadyKind
        reasons = [
            NotReady(
                kinds.VENUE_DOWN,
                ": ".join(filter(None, (f"venue {name} is not connected", self._trouble.get(name)))),
                name,
            )
            for name in self._core.queues
            if not self._is_up(name) and name not in self._unusable
        ]
        reasons += [
            NotReady(kinds.VENUE_UNUSABLE, f"venue {name}: {why}", name) for name, why in self._unusable.items()
        ]
        reasons += self._starts.not_ready()
        reasons += stale_books(self.kernel, self._watches)
        reasons += halt_reasons(self._records.accounts.trading)
        reasons += self._operator_service.not_ready()
        reasons += quarantines(self.kernel)
        return reasons + ([NotReady(kinds.STOPPING, "stopping")] if self.supervisor.is_stopping else [])

    async def connect(self, *, live: bool) -> None:
        """Start sandboxes, connectors and the control server; the rest comes up under the supervisor."""
        self._starting.update(venue.name for venue in self._resolved.venues)
        self._log_configuration()
        self._log_recovery()
        self.alerts.start(self.supervisor)
        warn_of_proxy_variables(os.environ)
        for connector in await side_by_side(self._access.connector(one, live=live) for one in self._resolved.venues):
            self._venues[connector.venue] = connection = self._make_venue(connector)
            self._runs[connector.venue] = self._make_run(connection)
        self.kernel.follow_trades(self._on_trade)
        http, directory = self._resolved.config.http, self._resolved.config.state_dir
        port = await self._control.start()
        if trouble := write_address(directory, http.host, port):
            _log.warning("the health check can't find this daemon", reason=trouble)
        await self._operator_service.start()
        _log.info("listening", http=url_of(http.host, port), epoch=self._records.epoch)
        self.supervisor.spawn("kill latch", self._operator_service.kill_watch.run())
        self.supervisor.spawn("disk usage", self._disk_usage.run(), is_critical=False)
        self.supervisor.spawn("trade", self._trade())

    def _log_configuration(self) -> None:
        for note in (*self._resolved.notes, *self._core.limits.notes):
            _log.warning("configuration", note=note)
        _log.info("checks", asked=[name for name, _ in self._core.settings.checks])

    def _log_recovery(self) -> None:
        for note in self._records.notes:
            _log.warning("records", note=note)
        if self._records.lost:
            ways = "see `tidegate reconcile` and `tidegate external-orders`"
            _log.error("alarm", what=f"{self._records.lost}: halted until `tidegate resume`; {ways}")
        for move in self._records.accounts.fund_moves.values():
            _log.error("alarm", what=f"it is not known what became of the {move.text}: {LOOK}")

    async def close(self) -> None:
        """End every task, close every connection and sandbox. Records are closed by their owner afterwards."""
        await self.supervisor.close()
        self._timers.close()
        await self._control.close()
        await self._operator_service.close()
        await self.alerts.close()
        finish = self.supervisor.finish
        connectors = {name: connection.connector for name, connection in self._venues.items()}
        closing = (StopHook(f"{name} connections", one.close, CLOSE_MS_MAX) for name, one in connectors.items())
        await asyncio.gather(*(finish(hook) for hook in closing))
        await self._access.close()
        self._shared.close()

    async def _trade(self) -> None:
        """Bring the venues up side by side, and let each strategy begin when it can."""
        for report in unanswered_at_restart(self._records.accounts, self._clock.now_ns()):
            self.kernel.publish(report)
        self.supervisor.spawn("records", self._keep_records())
        for name, run in self._runs.items():
            self.supervisor.spawn(f"{name} reconcile", run.run())
        while True:
            if not self.supervisor.is_stopping:
                self._starts.begin()
            await asyncio.sleep(START_S)

    async def _keep_records(self) -> None:
        """Have tape and ledger written in bulk, and the state's digest and a snapshot now and then."""
        purges = PurgeSchedule(self._records.accounts, self.kernel.publish, self._clock)
        while True:
            await asyncio.sleep(FLUSH_S)
            purges.look()
            for change in self._records.accounts.trading.over(self._clock.now_ns()):
                self.kernel.publish(change)
            try:
                await self._records.run_maintenance(self.kernel.step_number, self._clock)
                self._operator_service.look_at_records()
            except OSError as e:
                _log.warning("the snapshot could not be written; the next start takes longer", reason=str(e))

    def _on_connector(self, status: ConnectorStatus) -> None:
        """Compare with the venue at once when its streams are up again: what happened meanwhile was not streamed."""
        if status.is_up and (connection := self._venues.get(status.venue)) is not None:
            connection.reconciler.request()

    def _on_trade(self, trade: TradePrint) -> None:
        if (connection := self._venues.get(trade.instrument.partition(":")[0])) is not None:
            connection.reconciler.on_trade(trade)

    def _is_up(self, venue: str) -> bool:
        """Whether the venue is connected now and was compared with at least once in this run."""
        return venue not in self._starting and self._core.books.is_connected(venue)

    def _assemble(self) -> Core:
        accounts, books, metrics = self._records.accounts, Books(), self._metrics
        venues, strategies = self._names()
        telemetry = self._telemetry = Telemetry(
            metrics,
            accounts,
            self._clock,
            venues=venues,
            strategies=strategies,
            monitors=[name for name, check in self._resolved.checks if isinstance(check, StatefulCheck)],
            logs_fills=self._resolved.config.log.fills,
        )
        core = assemble(
            core_settings(self._resolved),
            clock=self._clock,
            accounts=accounts,
            books=books,
            next_client_order_id=ClientOrderIds(self._records.instance, self._records.epoch).next,
            recorder=self._records.recorder,
            watcher=telemetry,
            timers=self._timers,
            on_journal_failure=self._on_fatal,
            log=_log.info,
            is_killed=KillLatch(self._resolved.config.state_dir).is_set,
        )
        StateGauges(metrics, core.kernel, telemetry.in_question, strategies=strategies)
        metrics.ledger_lag.pull(lambda: [((), self._records.ledger_lag)])
        metrics.state_bytes.pull(lambda: [((part,), size) for part, size in self._disk_usage.part_bytes.items()])
        metrics.disk_free.pull(lambda: [((), free) for free in [self._disk_usage.free_bytes] if free is not None])
        core.kernel.resume(self._records.last_step)
        return core

    def _make_status_reader(self) -> StatusReader:
        sources = StatusSources(
            not_ready=self.not_ready,
            waiting=self._starts.waiting,
            reconcilers=lambda: self._operator_service.reconcilers,
            strategies=self._names()[1],
            trouble=self._trouble,
            in_question=self._telemetry.in_question,
            alerts=self.alerts.notes,
        )
        return StatusReader(self.kernel, self._metrics, self._clock, sources)

    def _names(self) -> tuple[list[str], list[str]]:
        """The venues and the strategies of the configuration."""
        return [one.name for one in self._resolved.venues], [one.name for one in self._resolved.strategies]

    def _make_venue(self, connector: Connector) -> VenueConnection:
        name, dispatcher = connector.venue, self._make_dispatcher(connector)
        reconciler = Reconciler(
            ReconcileDependencies(
                venue=name,
                gateway=connector.gateway,
                accounts=self._records.accounts,
                publish=self.kernel.publish,
                clock=self._clock,
                is_ending=self.kernel.is_ending,
                on_pass=lambda differences: self._operator_service.on_pass(name, differences),
                on_trouble=self._operator_service.on_trouble,
                is_under_way=dispatcher.has_request_for,
                drift_ms_max=self._resolved.config.kernel.reconcile_grace_ms,
                reread=_reread_of(connector),
                adopt_own=self._resolved.config.venues[name].adopt_own,
                terms=lambda: self._core.terms(name),
                on_alarm=self._telemetry.alarm,
            )
        )
        self._operator_service.watch(name, reconciler)
        return VenueConnection(connector, dispatcher, reconciler)

    def _make_run(self, connection: VenueConnection) -> VenueRun:
        connector, known = connection.connector, self._records.accounts.instruments
        watch = BookWatch(connector.venue, self._core.books, connector.resync, clock=self._clock, instruments=known)
        self._watches.append(watch)
        return VenueRun(
            connection,
            VenueRunPorts(
                kernel=self.kernel,
                clock=self._clock,
                supervisor=self.supervisor,
                watch=watch,
                starting=self._starting,
                trouble=self._trouble,
                unusable=self._unusable,
                is_only=len(self._resolved.venues) == 1,
                allow_withdraw_keys=self._resolved.config.venues[connector.venue].allow_withdraw_keys,
            ),
        )

    def _make_dispatcher(self, connector: Connector) -> Dispatcher:
        name, latency = connector.venue, self._metrics.order_latency
        return Dispatcher(
            DispatchDependencies(
                venue=name,
                gateway=connector.gateway,
                queue=self._core.queues[name],
                publish=self.kernel.publish,
                find=self._records.accounts.orders.get,
                budget=lambda: self._core.budgets.get(name),  # type: ignore[arg-type,return-value]
                wait_durable=self._records.recorder.wait_durable,
                observe=lambda stage, duration_ns: latency.at((name, stage)).observe_ns(duration_ns),
                on_fatal=self._on_fatal,
                on_account_refused=lambda error: self._runs[name].refuse(error),
                clock=self._clock,
                why_unwanted=self._core.last_look.why_unwanted,
                why_unaccounted=self._core.send_ledger.why_not,
                on_refused=lambda order: self._venues[name].reconciler.flag(order),
                covered=self.kernel.covered,
                is_fenced=self._records.is_fenced,
                share=self._shared.of(name),
            )
        )

    def _on_fatal(self, error: Fatal) -> None:
        self.supervisor.request_stop(str(error), exit_code=EXIT_FAILED)


def _reread_of(connector: Connector) -> Callable[[InstrumentId], None]:
    # A connector that was written before there was `reread` goes on without it.
    return getattr(connector, "reread", leave)
