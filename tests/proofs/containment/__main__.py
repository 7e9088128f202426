"""Four strategies on one account, three of them unruly, through a stream that spoils one market's book.

    python -m tests.proofs.containment [--duration 1200] [--seed 7] [--mutant no-reduce|fill-lost]

One raises, one calls `sys.exit`, one is refused ten thousand times a second, one makes a market. The exchange stands
still again and again, and after half of the time an operator orders `reduce`. In the end the market maker's fills are
the exchange's, no order that arrived after `reduce` could increase a position, no order is left, and the daemon exits
with 0. Prints one JSON object; exits 1 when a promise is broken. A mutant must be found out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from framework.persistence.journal.verify import verify
from framework.persistence.ledger.reader import LedgerReader
from framework.runtime.files import RealFiles
from tests.proofs.containment.judge import booked, fills_of, increasing_orders
from tests.support.daemon import ROOT, Daemon, Sandbox, running, venue_toml, wait_until
from tests.support.fault_proxy import FaultProxy

MUTANTS = ("no-reduce", "fill-lost")
STILL_S = (1.0, 6.0)
EXIT_MS = 5_000
GRACE_NS = 250_000_000
"""What was written before `reduce` was answered may arrive so much later."""

STRATEGIES = """
plugin_paths = [{folder}]
[http]
port = 0
[strategies.mm]
instruments = ["kalshi:{healthy}"]
[strategies.mm.settings]
amend = false
[strategies.raises]
use = "unruly:Raises"
instruments = ["kalshi:{third}"]
[strategies.exits]
use = "unruly:Exits"
instruments = ["kalshi:{third}"]
[strategies.exits.settings]
after_ms = {exit_ms}
[strategies.storms]
use = "unruly:Storms"
instruments = ["kalshi:{third}"]
"""


class Spoiler:
    """Makes book messages of one market unreadable, in turns of all the ways that there are."""

    def __init__(self, market: str, rng: random.Random) -> None:
        self.count = 0
        self._market = market.encode()
        self._rng = rng

    def __call__(self, payload: bytes) -> bytes:
        """The message, spoiled when it is one of a book of that market; one in twenty passes as it is."""
        if b'"orderbook_' not in payload[:200] or self._market not in payload or self._rng.random() < 0.05:
            return payload
        message = json.loads(payload)
        body = message["msg"]
        if message["type"] == "orderbook_delta":
            body[self._rng.choice(("price_dollars", "delta_fp", "side"))] = self._rng.choice(("0.12345", None, 7, []))
        else:
            sides = [name for name in body if name.startswith(("yes", "no"))] or ["yes_dollars_fp"]
            worst = (None, [["0.12345", "10.00"]], [["0.5000", "10.005"]], [[1, 2]], "none")
            body[self._rng.choice(sides)] = self._rng.choice(worst)
        self.count += 1
        return json.dumps(message).encode()


@contextmanager
def sandbox_at(directory: Path, seed: int, speed: float) -> Iterator[Sandbox]:
    """An exchange of four markets for the length of a `with`."""
    sandbox = Sandbox(directory, seed=seed, markets=4, speed=speed)
    try:
        yield sandbox
    finally:
        sandbox.stop()


async def run(duration_s: float, seed: int, mutant: str, folder: Path, *, speed: float = 2) -> dict[str, Any]:
    """The whole proof."""
    rng = random.Random(seed)
    with sandbox_at(folder / "sandbox", seed, speed) as sandbox:
        healthy, spoiled, third = sorted(sandbox.truth()["markets"])[:3]
        url = urlsplit(sandbox.ready["ws_url"])
        proxy = FaultProxy(str(url.hostname), int(url.port or 0), rng=rng)
        await proxy.start()
        spoiler = proxy.rewrite = Spoiler(spoiled, rng)
        file = folder / "tidegate.toml"
        ready = sandbox.ready | {"ws_url": url._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()}
        plugins = json.dumps(str(Path(__file__).parent))
        rows = STRATEGIES.format(folder=plugins, healthy=healthy, third=third, exit_ms=EXIT_MS)
        plugin_line, _, tables = rows.strip().partition("\n")
        file.write_text(f"{plugin_line}\n{venue_toml(ready)}{tables}\n")
        arguments = ["-c", "sandbox", "-c", str(file), "--state-dir", str(folder / "state")]
        with running(arguments, folder / "daemon.log") as daemon:
            session = Session(daemon, sandbox, folder / "state", rng)
            await session.run(duration_s, is_reduced=mutant != "no-reduce")
            code, stop_s = await asyncio.to_thread(daemon.terminate)
            lines = daemon.lines
        await proxy.close()
        truth = sandbox.truth()
    found = session.figures | {
        "exit_code": code,
        "stop_s": round(stop_s, 2),
        "frames_spoiled": spoiler.count,
        "log_lines": len(lines),
        "tracebacks": sum("Traceback" in json.dumps(line) for line in lines),
    }
    return found | compared(truth, folder / "state", session.reduced_ns, is_fill_lost=mutant == "fill-lost")


class Session:
    """One session: pauses of the exchange, `reduce` in the middle, looks at the metrics."""

    def __init__(self, daemon: Daemon, sandbox: Sandbox, state: Path, rng: random.Random) -> None:
        self.figures: dict[str, Any] = {}
        self.reduced_ns = 0
        self._daemon = daemon
        self._sandbox = sandbox
        self._state = state
        self._rng = rng
        self._pauses = 0

    async def run(self, duration_s: float, *, is_reduced: bool) -> None:
        """Live for so long."""
        started = time.monotonic()
        await asyncio.to_thread(self._daemon.wait_ready_but, ("quarantined",))
        await self._trouble(started + duration_s / 2)
        self.figures["fills_before_reduce"] = await asyncio.to_thread(wait_until, self._fills, "fill", timeout_s=60)
        self.figures["reduce_exit_code"] = 0
        if is_reduced:
            await asyncio.to_thread(self._reduce)
        self.reduced_ns = time.time_ns()
        await self._trouble(time.monotonic() + duration_s / 2)
        self.figures |= await asyncio.to_thread(self._look) | {"pauses": self._pauses}

    async def _trouble(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(min(self._rng.uniform(3.0, 15.0), max(until - time.monotonic(), 0.0)))
            if until - time.monotonic() < 2 * STILL_S[1]:
                continue  # not across `reduce` and the end
            with self._sandbox.paused():
                await asyncio.sleep(self._rng.uniform(*STILL_S))
            self._pauses += 1

    def _fills(self) -> int:
        return int(self._daemon.total("tidegate_fills_total", strategy="mm"))

    def _reduce(self) -> None:
        command = [sys.executable, "-m", "framework", "reduce", "--reason", "half time", "--state-dir"]
        done = subprocess.run([*command, str(self._state)], cwd=ROOT, check=False, capture_output=True)
        self.figures["reduce_exit_code"] = done.returncode

    def _look(self) -> dict[str, Any]:
        total = self._daemon.total
        return {
            "fills": self._fills(),
            "refusals": int(total("tidegate_refusals_total", strategy="storms")),
            "faults": {name: int(total("tidegate_strategy_faults_total", strategy=name)) for name in UNRULY},
            "rate_limited": int(total("tidegate_rate_limited_total")),
            "reconnects": int(total("tidegate_reconnects_total")),
            "not_ready": self._daemon.not_ready(),
        }


UNRULY = ("raises", "exits", "storms")


def compared(truth: dict[str, Any], state: Path, reduced_ns: int, *, is_fill_lost: bool) -> dict[str, Any]:
    """The records against the truth."""
    reader = LedgerReader(state / "ledger.sqlite3")
    try:
        orders = reader.orders(strategy="mm", limit=10**9)
        fills = reader.fills(strategy="mm", limit=10**9)
    finally:
        reader.close()
    ours = booked(fills[1:] if is_fill_lost else fills, truth)
    theirs = fills_of(truth, [order.client_order_id for order in orders])
    return {
        "fills_lost": len(theirs - ours),
        "fills_invented": len(ours - theirs),
        "increasing_after_reduce": increasing_orders(truth, reduced_ns + GRACE_NS),
        "orders_after_reduce": sum(order["arrival_ns"] > reduced_ns + GRACE_NS for order in truth["orders"]),
        "orders_left": sum(order["status"] in ("resting", "pending") for order in truth["orders"]),
        "journal_sound": verify(RealFiles(), state / "journal").is_sound,
        "journal_mb": round(sum(path.stat().st_size for path in (state / "journal").iterdir()) / 1e6, 1),
        "problems": truth["problems"],
    }


def is_kept(figures: dict[str, Any]) -> bool:
    """Whether every promise held."""
    nothing = ("exit_code", "reduce_exit_code", "fills_lost", "fills_invented", "increasing_after_reduce",
               "orders_left", "tracebacks", "rate_limited", "problems")  # fmt: skip
    return (
        all(not figures[name] for name in nothing)
        and figures["journal_sound"]
        and figures["fills_before_reduce"] > 0
        and figures["frames_spoiled"] > 0
        and all(figures["faults"].values())
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(options.duration, options.seed, options.mutant, Path(folder)))
    print(json.dumps(figures, indent=1))
    return 0 if is_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
