"""One lane of the network proof: a sandbox, a proxy on each leg, and a daemon that trades through them.

Run by `tests.evidence.network`, each lane in a process of its own:

    python -m tests.proofs.network.lane SPEC.json FIGURES.json

The daemon lives in this process and on this loop, put together by the same function as `tidegate run`, so that its
state can be compared with the venue's at any moment, and a mutant needs no more than a patch.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import uvloop

from framework import daemon as composition
from framework.config.layers import DEFAULT_FILE, load
from framework.config.resolve import resolve
from framework.domain.terms import FillListing
from framework.runtime.stop_signals import StopSignals
from tests.proofs.network import spy as spy
from tests.proofs.network.look import Eyes
from tests.proofs.network.spec import Spec, legs_cut
from tests.proofs.sigkill.amounts import amounts_off, ascribed_elsewhere
from tests.proofs.sigkill.truth import Shown, Truth, added, ask
from tests.proofs.sigkill.venues import VENUES
from tests.proofs.sigkill.watch import JournalWatch
from tests.support.daemon import Sandbox
from tests.support.fault_proxy import FaultProxy
from tests.support.toxics import draw

QUIET_S = 0.5

HEALTHY_S = 31.0
"""A stream that has been up for so long has its reconnect delays started anew."""
CONNECTS_BEFORE_CUT = {"stream": 0.1, "rest": 0.3}
"""The part of a minute's connects that may be gone and leave room for a cut and all that follows, so that the cap on
connects is measured and not tripped over."""
RECONCILED_S_MAX = 40.0
NOTICED_LATE_S = 5.0
"""So long is waited beyond the venue's bound until silence is noticed."""
FILLS_MUTED_S = 45.0
MINUTE_NS = 60_000_000_000
OWN_FRAMES = (b'"type":"fill"', b'"type":"user_order"', b'"type":"market_position"')

EXTRA = """
[http]
port = 0
[tape]
enabled = false
[kernel]
strategy_call_ms_max = 60_000
"""
"""Hooks are timed by the clock, and all lanes share the cores: what becomes of a slow one is another proof's matter."""


class Lane:
    """Call `run` once; the figures are what it returns."""

    def __init__(self, spec: Spec, sandbox: Sandbox) -> None:
        self._spec = spec
        self._sandbox = sandbox
        self._row = VENUES[spec.venue]
        self._state = Path(spec.directory) / "state"
        self._rng = random.Random(spec.seed)
        self._trials: list[dict[str, Any]] = []
        self._cases: dict[str, Any] = {}

    async def run(self) -> dict[str, Any]:
        """Every trial and every case, then the end in good order and the comparison of everything."""
        url = urlsplit(self._sandbox.ready["rest_url"])
        self._legs = {name: FaultProxy(str(url.hostname), int(url.port or 0), rng=self._rng) for name in self._row.legs}
        for proxy in self._legs.values():
            await proxy.start()
        serving, self._daemon = await self._start_daemon()
        self._spy = spy.attach(self._daemon, self._row.venue)
        async with aiohttp.ClientSession() as session:
            self._eyes = Eyes(self._daemon, session, self._sandbox.ready["admin_url"], self._row)
            work = asyncio.create_task(self._work())
            await asyncio.wait({work, serving}, return_when=asyncio.FIRST_COMPLETED)
            is_cut_short = not work.done()
            work.cancel()
            self._daemon.supervisor.request_stop("the proof is over")
            code = await serving
            for proxy in self._legs.values():
                await proxy.close()
            if is_cut_short:
                raise RuntimeError(f"the daemon ended by itself with code {code}")
            await work
        return self._figures(code)

    async def _start_daemon(self) -> tuple[asyncio.Task[int], composition.Daemon]:
        ready = dict(self._sandbox.ready)
        for leg, proxy in self._legs.items():
            name = {"rest": "rest_url", "stream": "ws_url"}[leg]
            ready[name] = urlsplit(ready[name])._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
        file = Path(self._spec.directory) / "tidegate.toml"
        file.write_text(self._row.toml(self._sandbox, ready=ready, **self._spec.settings) + EXTRA)
        configs = [DEFAULT_FILE if config == "sandbox" else Path(config) for config in self._row.configs]
        loaded = load([*configs, file], environ={}, overrides=[f"state_dir={self._state}"])
        made = spy.keep_made(composition)
        serving = asyncio.create_task(
            composition._serve(resolve(loaded), composition.RunOptions(signals=StopSignals()))
        )
        await _until(lambda: bool(made) or serving.done())
        if not made:
            raise RuntimeError(f"the daemon did not start: {serving.result()}")
        return serving, made[0]

    async def _work(self) -> None:
        await self._reconciled()
        waiting = list(self._spec.trials)
        while waiting:
            chosen = next((one for one in waiting if self._may_cut(*legs_cut(one))), None)
            if chosen is None:
                await asyncio.sleep(0.25)
                continue
            waiting.remove(chosen)
            await self._trial(*chosen)
        for case in self._spec.cases:
            await _until(lambda: self._may_cut(*self._legs))
            self._cases[case] = await self._case(case)

    async def _trial(self, kind: str, leg: str) -> None:
        proxies = list(self._legs.values()) if leg == "both" else [self._legs[leg]]
        await asyncio.sleep(QUIET_S)
        toxic, for_s = draw(kind, self._rng), self._rng.uniform(*self._spec.toxic_s)
        for proxy in proxies:
            proxy.poison(toxic)
        await asyncio.sleep(for_s)
        for proxy in proxies:
            proxy.heal()
        connects = self._connects_of_minute()
        seconds, why = await self._reconciled()
        self._trials.append(
            {
                "toxic": kind,
                "leg": leg,
                "on_s": round(for_s, 2),
                "connects_of_minute": connects,
                "reconciled_s": seconds,
                "late_because": why,
            }
        )

    async def _case(self, case: str) -> dict[str, Any]:
        await asyncio.sleep(QUIET_S)
        if case in {"refused", "dead"}:
            return await self._outage(case)
        stream, started = self._legs["stream"], time.monotonic()
        orders_before, downs_before = self._spy.orders, len(self._spy.downs)
        if case == "frozen":
            stream.freeze()
        else:
            stream.mute(_is_own if case == "fills_muted" else _is_any)
        if case == "fills_muted":
            return await self._miss_fills()
        limit_s = self._row.noticed_s_max + NOTICED_LATE_S
        is_noticed = await _until(lambda: len(self._spy.downs) > downs_before, timeout_s=limit_s)
        noticed_s = round(time.monotonic() - started, 2) if is_noticed else None
        orders = self._spy.orders - orders_before
        stream.heal()
        seconds, why = await self._reconciled() if is_noticed else (None, "not noticed")
        return {"noticed_s": noticed_s, "orders_meanwhile": orders, "reconciled_s": seconds, "late_because": why}

    async def _miss_fills(self) -> dict[str, Any]:
        """Everything flows but news of own orders and fills: how late they are booked all the same."""
        from_ns = time.time_ns()
        await asyncio.sleep(FILLS_MUTED_S)
        self._legs["stream"].heal()
        to_ns = time.time_ns()
        seconds, why = await self._reconciled()
        await asyncio.sleep(0.5)
        late_s = [(got - at) / 1e9 for at, got in self._eyes.fill_times(self._state) if from_ns <= at < to_ns]
        return {
            "fills": len(late_s),
            "noticed_s": round(max(late_s), 2) if late_s else None,
            "reconciled_s": seconds,
            "late_because": why,
        }

    async def _outage(self, case: str) -> dict[str, Any]:
        started_ns = time.monotonic_ns()
        for proxy in self._legs.values():
            await (proxy.refuse() if case == "refused" else proxy.die())
        await asyncio.sleep(self._spec.outage_s)
        for proxy in self._legs.values():
            proxy.heal()
        healed_ns = time.monotonic_ns()
        seconds, why = await self._reconciled(limit_s=RECONCILED_S_MAX + 30)
        figures = {"outage_s": self._spec.outage_s, "reconciled_s": seconds, "late_because": why}
        for leg, attempts in self._connects().items():
            figures[f"{leg}_attempts"] = sum(started_ns <= at < healed_ns for at in attempts)
        return figures

    async def _reconciled(self, *, limit_s: float = RECONCILED_S_MAX) -> tuple[float | None, str]:
        """Seconds until two looks in a row agreed, None when they never did, and what was last not right."""
        started, why, agreed = time.monotonic(), "", 0
        while time.monotonic() - started < limit_s:
            reason = await self._eyes.look()
            why, agreed = (reason, 0) if reason else (why, agreed + 1)
            if agreed == 2:
                return round(time.monotonic() - started, 3), why
            await asyncio.sleep(0.1)
        return None, why

    def _may_cut(self, *legs: str) -> bool:
        if not self._spec.is_paced:
            return True
        recent = self._connects_of_minute()
        most = self._row.connects_per_minute_max
        has_room = all(recent[leg] <= CONNECTS_BEFORE_CUT[leg] * most for leg in legs)
        return has_room and ("stream" not in legs or self._spy.up_for_s(time.monotonic_ns()) >= HEALTHY_S)

    def _connects_of_minute(self) -> dict[str, int]:
        since_ns = time.monotonic_ns() - MINUTE_NS
        return {leg: sum(at > since_ns for at in times) for leg, times in self._connects().items()}

    def _connects(self) -> dict[str, list[int]]:
        attempts = {"stream": self._spy.stream_connects, "rest": self._spy.rest_connects}
        return {leg: attempts[leg] for leg in self._legs}

    def _figures(self, code: int) -> dict[str, Any]:
        watch = JournalWatch(self._state)
        watch.read()
        truth = Truth(ask(self._sandbox), self._row.fills, sent=watch.sent, stand_ins_below=self._row.stand_ins_below)
        shown = Shown(self._state, self._row.fills)
        is_listed = self._row.fills is FillListing.LISTED
        fills_apart = {fill for fill in {*truth.fills, *shown.fills} if truth.fills.get(fill) != shown.fills.get(fill)}
        return {
            "exit_code": code,
            "trials": self._trials,
            "cases": self._cases,
            "orders": truth.names.total(),
            "orders_twice": sum(count > 1 for count in truth.names.values()),
            "orders_lost": sorted(set(truth.names) - set(shown.status)),
            "orders_left_open": sorted(truth.open),
            "fills": truth.fill_count,
            "fills_wrong": sorted(fills_apart),
            "fills_unclaimed": sorted(shown.unattributed),
            "amounts_off": [] if is_listed else amounts_off(truth, shown),
            "ascribed_elsewhere": 0 if is_listed else ascribed_elsewhere(truth, shown),
            "unrecorded": sorted(watch.unrecorded(truth)),
            "positions_agree": truth.positions == shown.positions == added(shown.fills),
            "rate_limited": truth.rate_limited,
            "refused_signatures": truth.refused_signatures,
            "venue_problems": truth.problems,
            "approved": self._spy.orders,
            "approved_on_stale_book": self._spy.stale,
            **{
                f"{leg}_connects_per_minute_max": max(map(_rolling_max, (attempts, self._legs[leg].accepted_ns)))
                for leg, attempts in self._connects().items()
            },
            "connects_per_minute_allowed": self._spec.settings.get(
                "connects_per_minute_max", self._row.connects_per_minute_max
            ),
            "downs": dict(Counter(reason for _, reason in self._spy.downs)),
        }


async def _until(is_so: Callable[[], bool], *, timeout_s: float | None = None) -> bool:
    """Wait until it is so, or for the time; whether it is so."""
    try:
        async with asyncio.timeout(timeout_s):
            while not is_so():  # noqa: ASYNC110 - what is waited for is a matter of many events
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


def _is_own(message: bytes) -> bool:
    return any(kind in message for kind in OWN_FRAMES)


def _is_any(_message: bytes) -> bool:
    return True


def _rolling_max(at_ns: list[int]) -> int:
    """The most moments within any minute."""
    ordered = sorted(at_ns)
    return max((sum(first <= at < first + MINUTE_NS for at in ordered) for first in ordered), default=0)


def main(arguments: list[str], patch: Callable[[str], None] = spy.patch) -> int:
    """The command."""
    spec = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Spec)
    patch(spec.mutant)
    directory = Path(spec.directory)
    directory.mkdir(parents=True, exist_ok=True)
    sandbox = VENUES[spec.venue].exchange(directory / "sandbox", speed=spec.speed, seed=spec.seed)
    try:
        figures = uvloop.run(Lane(spec, sandbox).run())
    finally:
        sandbox.stop()
    Path(arguments[1]).write_bytes(msgspec.json.encode(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
