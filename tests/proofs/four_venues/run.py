"""One run of the proof: sandboxes, daemon, story, and what is seen of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from framework.config.resolve import ResolvedVenue
from tests.proofs.four_venues.comparison import (
    Records,
    apart_at_the_dead,
    balances_apart,
    differences,
    positions_of,
    unseen,
)
from tests.proofs.four_venues.exchange import CONFIGURATION, Exchange, venues
from tests.proofs.four_venues.faults import DESCRIPTIONS, Incident, Script
from tests.proofs.four_venues.watch import Watch
from tests.support.daemon import ROOT, comes_true, running

STORIES = ("quiet", "faults", "deaths")
BUSY = ("kalqix", "bitexasia", "zdex")
"""Where a strategy always has orders; at Kalshi only when a set of contracts is worth less than it pays."""
LOOK_S = 1.0
AGREE_S_MAX = 90.0
"""Kalshi's balance is read once a minute."""
TRADE_S_MAX = 60.0
STOP_S_MAX = 30.0

Json = dict[str, Any]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does. `settings` are laid over every venue's, where it has such a setting; `venues` and `kinds` are
    where and which faults are committed, empty: all. `kernel` is laid over the daemon's own settings."""

    directory: Path
    story: str
    seconds: float
    seed: int = 7
    dead: str = "zdex"
    dying: str = "bitexasia"
    venues: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    kernel: Mapping[str, int] = {}
    settings: Mapping[str, Mapping[str, Any]] = {}
    pause_s: float = 0.0
    look_s: float = LOOK_S


class Run:
    """Everything of one run; `figures` does it."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._state = spec.directory / "state"
        self._log = spec.directory / "log"
        self._deaths: Json = {}

    def figures(self) -> Json:
        """Run it, and what was seen."""
        with ExitStack() as stack:
            self._exchanges = {one.name: one for one in stack.enter_context(self._started())}
            if self._spec.story == "deaths":
                self._exchanges[self._spec.dead].stop()
            daemon = stack.enter_context(running(self._arguments(), self._log))
            self._daemon, self._watch = daemon, Watch(daemon, self._exchanges)
            daemon.wait_ready_but([self._spec.dead] if self._spec.story == "deaths" else ["-"])
            self._script = self._make_script()
            self._begun_s = time.monotonic()
            self._play()
            settled = self._settle()
            code, seconds = self._stop()
            truths = {name: one.truth() for name, one in self._exchanges.items()}
            return self._seen() | settled | {"exit_code": code, "stop_s": round(seconds, 1)} | self._judged(truths)

    @contextmanager
    def _started(self) -> Iterator[list[Exchange]]:
        self._spec.directory.mkdir(parents=True, exist_ok=True)
        made: list[Exchange] = []

        def make(venue: ResolvedVenue) -> None:
            settings = self._spec.settings.get(venue.name, {})
            made.append(Exchange(venue, self._spec.directory / venue.name, settings))

        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(make, venues()))
            yield sorted(made, key=lambda one: one.name)
        finally:
            for one in made:
                one.stop()

    def _arguments(self) -> list[str]:
        over = self._spec.directory / "over.toml"
        kernel = [f"{name} = {value}\n" for name, value in self._spec.kernel.items()]
        over.write_text("".join(["[kernel]\n", *kernel]) + "".join(one.table() for one in self._exchanges.values()))
        return ["-c", str(CONFIGURATION), "-c", str(over), "--state-dir", str(self._state)]

    def _make_script(self) -> Script:
        is_faulty = self._spec.story == "faults"
        chosen = self._spec.venues or tuple(self._exchanges)
        at = {name: one for name, one in self._exchanges.items() if name in chosen and is_faulty}
        script = Script(at, busy=BUSY, seed=self._spec.seed, kinds=self._spec.kinds or DESCRIPTIONS)
        script.pause_s = self._spec.pause_s or self._spec.seconds / max(script.count, 1)
        return script

    def _play(self) -> None:
        """The story, for its time and until all that is to happen has happened."""
        spec = self._spec
        if spec.story == "deaths":
            self._watch_until(1 / 3)
            self._exchanges[spec.dead].start()
            self._note("revived", spec.dead)
            self._watch_until(1 / 2, traded=[spec.dead])
            self._exchanges[spec.dying].die()
            self._note("died", spec.dying)
        self._watch_until(1.0, traded=[name for name, _ in self._alive() if name in BUSY])

    def _note(self, what: str, venue: str) -> None:
        self._deaths[what] = {"venue": venue, "at_s": time.monotonic()}

    def _watch_until(self, share: float, traded: Collection[str] = ()) -> None:
        """Watch until this share of the time is over, the faults that began are too, and these venues have taken
        another order; they are waited for no longer than `TRADE_S_MAX` beyond that."""
        before, due_s = self._watch.look().orders, self._begun_s + self._spec.seconds * share
        while True:
            sample = self._watch.look()
            self._script.step(self._watch)
            has_traded = all(sample.orders[name] > before[name] for name in traded)
            if sample.at_s >= due_s and self._script.is_over and (has_traded or sample.at_s > due_s + TRADE_S_MAX):
                return
            time.sleep(self._spec.look_s)

    def _settle(self) -> Json:
        """Halt, compare everything with every truth, balances too, then resume and wait for orders."""
        self._tidegate("halt", "--cancel", "--reason", "to compare balances")
        found: dict[str, list[str]] = {}

        def agrees() -> bool:
            records = Records(self._state)
            found.clear()
            for name, one in self._alive():
                if apart := [*differences(records, name, one.truth()), *balances_apart(records, name, one.truth())]:
                    found[name] = apart
            time.sleep(0.5)
            return not found

        comes_true(agrees, timeout_s=AGREE_S_MAX)
        reconcile = self._tidegate("reconcile")
        compared = {"code": reconcile.returncode, "said": reconcile.stdout.strip().splitlines()}
        self._tidegate("resume", "--reason", "balances were compared")
        before = self._watch.look().orders
        others = [name for name, _ in self._alive() if name in BUSY]

        def trades() -> bool:
            now = self._watch.look().orders
            return all(now[name] > before[name] for name in others)

        resumed = comes_true(trades, timeout_s=TRADE_S_MAX)
        return {"apart_when_halted": dict(found), "reconcile": compared, "traded_after_resume": bool(resumed)}

    def _stop(self) -> tuple[int, float]:
        self._watch.look()
        began = time.monotonic()
        self._daemon.signal(signal.SIGTERM)
        return self._daemon.wait(STOP_S_MAX), time.monotonic() - began

    def _alive(self) -> list[tuple[str, Exchange]]:
        return [(name, one) for name, one in self._exchanges.items() if one.is_up]

    def _tidegate(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "framework", *words, "--state-dir", str(self._state)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    def _seen(self) -> Json:
        """What the watch and the log have."""
        samples, spec = self._watch.samples, self._spec
        first, last = samples[0], samples[-1]
        return {
            "story": spec.story,
            "seconds": round(last.at_s - self._begun_s),
            "orders": dict(last.orders),
            "limited": dict(last.limited),
            "unknown_age_s_max": round(max(one.unknown_age_s for one in samples), 1),
            "memory_mib": self._watch.memory(min(120.0, spec.seconds / 4)),
            "down_share": {
                name: round(sum(not one.up[name] for one in samples) / len(samples), 3) for name in first.up
            },
            "errors": [_text(line) for line in self._daemon.lines if _is_error(line)],
            "incidents": [self._shown(one) for one in self._script.incidents],
            "faults_left_out": self._script.left_out,
            "deaths": self._deaths and self._after_deaths(),
        }

    def _shown(self, incident: Incident) -> Json:
        """An incident, with what went on at the other venues meanwhile."""
        end_s = incident.recovered_at_s or incident.ended_s or self._watch.last.at_s
        looks = self._watch.between(incident.begun_s - 2, end_s + 2)
        others = [
            name
            for name in self._exchanges
            if name != incident.venue and not self._script.hits(name, incident.begun_s - 2, end_s + 2)
        ]
        return {
            "venue": incident.venue,
            "kind": incident.kind,
            "at_s": round(incident.begun_s - self._begun_s, 1),
            "is_struck": incident.is_struck,
            "lasted_s": round(incident.ended_s - incident.begun_s, 1) if incident.ended_s else None,
            "recovered_s": round(incident.recovered_at_s - incident.ended_s, 1) if incident.recovered_at_s else None,
            "trouble": incident.trouble,
            "others": others,
            "others_orders": {name: looks[-1].orders[name] - looks[0].orders[name] for name in others if name in BUSY},
            "others_down": sorted({name for name in others for look in looks if not look.up[name]}),
        }

    def _after_deaths(self) -> Json:
        """How many orders each venue took before, between and after what happened."""
        last = self._watch.last.orders
        shown = {}
        for what, found in self._deaths.items():
            then = self._watch.between(0, found["at_s"])[-1].orders
            shown[what] = {"venue": found["venue"], "at_s": round(found["at_s"] - self._begun_s, 1), "before": then}
            shown[what]["after"] = {name: last[name] - then[name] for name in last}
        return shown

    def _judged(self, truths: Mapping[str, Json]) -> Json:
        """The records after the stop, compared with what really happened."""
        records = Records(self._state)
        alive = {name for name, _ in self._alive()}
        dead = sorted(set(truths) - alive)
        return {
            "rate_limited": {name: truth["observed"]["rate_limited"] for name, truth in truths.items()},
            "struck": {name: one.plan()["struck"] for name, one in self._alive()},
            "unauthorized": {name: truth["observed"]["unauthorized"] for name, truth in truths.items()},
            "apart_after_stop": {
                name: apart for name in sorted(alive) if (apart := differences(records, name, truths[name]))
            },
            "apart_at_the_dead": {
                name: apart for name in dead if (apart := apart_at_the_dead(records, name, truths[name]))
            },
            "open_at_the_dead": {name: records.open(name) for name in dead},
            "fills": {name: len(truth["fills"]) for name, truth in truths.items()},
            "positions": {
                name: {k: str(v) for k, v in positions_of(name, truth).items()} for name, truth in truths.items()
            },
            "unseen": {
                name: {side: str(size) for side, size in unseen(records, name, truth).items()}
                for name, truth in truths.items()
            },
            "funding": {name: len(records.flows(name)) for name in truths},
            "differences_logged": _counts(self._daemon.logged("the venue and we differ")),
        }


def _counts(lines: list[Json]) -> dict[str, int]:
    shown: dict[str, int] = {}
    for line in lines:
        key = f"{line.get('venue', '')} {line.get('kind', '')}"
        shown[key] = shown.get(key, 0) + 1
    return shown


def _is_error(line: Json) -> bool:
    return line.get("level") in ("error", "critical") or "Traceback" in line.get("text", "")


def _text(line: Json) -> str:
    return json.dumps({name: value for name, value in line.items() if name not in ("level", "logger")})
