"""One long session against the sandbox, compared with the sandbox's truth to the last contract.

    python -m tests.proofs.session --duration 600

Prints one JSON object: what was traded, what the venue refused, whether ledger and truth agree, whether every order
was recorded before it arrived, and how memory behaved. Exits 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

from framework.domain.account_events import OrderReport, ReportKind
from framework.persistence.journal.scan import read_entries
from framework.persistence.journal.verify import verify
from framework.persistence.ledger.reader import LedgerReader
from framework.runtime.files import RealFiles

WARM_UP_S = 120
MIB = 1 << 20


def fetch(url: str) -> Any:
    """The JSON at a local address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def start_sandbox(directory: Path, seed: int, speed: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """A sandbox that outlives the daemon, so that its truth can be asked for afterwards."""
    options = ["--dir", str(directory), "--seed", str(seed), "--speed", speed]
    process = subprocess.Popen(
        [sys.executable, "-m", "connectors.kalshi.sandbox", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def daemon_command(ready: dict[str, Any], directory: Path, duration_s: int) -> list[str]:
    """The default configuration, pointed at that sandbox."""
    overrides = {
        "venues.kalshi.embedded_sandbox": "false",
        "http.port": "0",
        **{
            f"venues.kalshi.settings.{name}": ready[name]
            for name in ("rest_url", "ws_url", "key_id", "private_key_path")
        },
    }
    settings = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    return [
        *(sys.executable, "-m", "framework", "run", "--duration", str(duration_s), "--state-dir", str(directory)),
        *settings,
    ]


def sample_memory(process: subprocess.Popen[bytes]) -> list[tuple[float, float]]:
    """(seconds, MiB) every five seconds until the process ends."""
    started, samples = time.monotonic(), []
    while process.poll() is None:
        try:
            samples.append((time.monotonic() - started, resident_mib(process.pid)))
        except (FileNotFoundError, IndexError):
            break
        time.sleep(5 if len(samples) > 1 else 1)
    return samples


def memory_figures(samples: list[tuple[float, float]]) -> dict[str, float | None]:
    """Memory after the warm-up: range and slope."""
    late = [sample for sample in samples if sample[0] > WARM_UP_S] or samples[1:] or samples
    slope = statistics.linear_regression(*zip(*late, strict=True)).slope * 60 if len(late) > 2 else None
    return {
        "rss_mib_start": round(samples[0][1], 1),
        "rss_mib_min_late": round(min(mib for _, mib in late), 1),
        "rss_mib_max_late": round(max(mib for _, mib in late), 1),
        "rss_mib_per_minute_late": None if slope is None else round(slope, 3),
    }


def orders_before_arrival(truth: dict[str, Any], state: Path) -> tuple[int, float]:
    """Orders of the truth without an older record, and the smallest lead of a record in milliseconds."""
    recorded: dict[str, int] = {}
    for entry in read_entries(RealFiles(), state / "journal"):
        body = entry.record.body
        if isinstance(body, OrderReport) and body.kind is ReportKind.SENT:
            recorded.setdefault(body.client_order_id, entry.record.now_ns)
    leads = [order["arrival_ns"] - recorded.get(order["client_order_id"], 1 << 63) for order in truth["orders"]]
    return sum(lead <= 0 for lead in leads), min(leads, default=0) / 1e6


def positions_of_truth(truth: dict[str, Any]) -> dict[str, Decimal]:
    """Market to signed contracts, flat ones left out."""
    return {
        market: Decimal(position["net"]).scaleb(-truth["decimals"][market]["size"])
        for positions in truth["positions"].values()
        for market, position in positions.items()
        if position["net"]
    }


def positions_of_ledger(state: Path) -> dict[str, Decimal]:
    """Market to signed contracts, flat ones left out."""
    reader = LedgerReader(state / "ledger.sqlite3")
    try:
        rows = reader.positions()
    finally:
        reader.close()
    return {row.instrument.partition(":")[2]: Decimal(row.size) for row in rows if Decimal(row.size)}


def run(duration_s: int, seed: int, speed: str) -> dict[str, Any]:
    """The whole proof."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sandbox, ready = start_sandbox(root / "sandbox", seed, speed)
        state = root / "state"
        state.mkdir(mode=0o700)
        try:
            with (root / "daemon.log").open("wb") as log:
                daemon = subprocess.Popen(
                    daemon_command(ready, state, duration_s), stdout=log, stderr=subprocess.STDOUT
                )
                samples = sample_memory(daemon)
            truth = fetch(f"{ready['admin_url']}/truth")
        finally:
            sandbox.terminate()
            sandbox.wait(10)
        log_lines = (root / "daemon.log").read_text().splitlines()
        unrecorded, lead_ms = orders_before_arrival(truth, state)
        return {
            "duration_s": duration_s,
            "exit_code": daemon.returncode,
            "orders": len(truth["orders"]),
            "fills": len(truth["fills"]),
            "requests": sum(truth["requests"].values()),
            "rate_limited": truth["rate_limited"],
            "refused_signatures": truth["refused_signatures"],
            "errors_logged": sum('"level":"error"' in line or "Traceback" in line for line in log_lines),
            "orders_open_at_end": sum(order["status"] == "resting" for order in truth["orders"]),
            "positions_agree": positions_of_truth(truth) == positions_of_ledger(state),
            "positions": {market: str(size) for market, size in positions_of_truth(truth).items()},
            "orders_not_recorded_first": unrecorded,
            "record_lead_ms_min": round(lead_ms, 3),
            "journal_sound": verify(RealFiles(), state / "journal").is_sound,
            **memory_figures(samples),
        }


def is_kept(figures: dict[str, Any]) -> bool:
    """Whether every promise held."""
    zeros = (
        "exit_code",
        "rate_limited",
        "refused_signatures",
        "errors_logged",
        "orders_open_at_end",
        "orders_not_recorded_first",
    )
    return (
        all(figures[name] == 0 for name in zeros)
        and figures["positions_agree"]
        and figures["journal_sound"]
        and figures["fills"] > 0
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=int, default=600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--speed", default="1")
    options = parser.parse_args()
    figures = run(options.duration, options.seed, options.speed)
    print(json.dumps(figures, indent=1))
    return 0 if is_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
