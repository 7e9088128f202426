"""The daemon and the venue's sandbox as real processes: started, watched, stopped, and never left behind."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.rsa_key import keep_rsa_key
from tests.support.signals import inherited

ROOT = Path(__file__).parents[2]
READY_S = 60.0
"""No more than a bound: a loaded machine takes many seconds to start a daemon."""

KALSHI = "connectors.kalshi.sandbox"

Labels = tuple[tuple[str, str], ...]


def wait_until(condition: Callable[[], Any], what: str, *, timeout_s: float = READY_S) -> Any:
    """Return the condition's first true answer; fail, naming `what`, when it does not come within the time."""
    if found := comes_true(condition, timeout_s=timeout_s):
        return found
    raise AssertionError(f"within {timeout_s:g} s there was no {what}")


def comes_true(condition: Callable[[], Any], *, timeout_s: float) -> Any:
    """The condition's first true answer, or its last one when none comes within the time."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def get(url: str, *, method: str = "GET", body: object = None) -> tuple[int, bytes]:
    """One HTTP request; 0 when nobody listens."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method), timeout=5) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read()
    except (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException):
        return 0, b""


class Daemon:
    """`tidegate run` as a process of its own. Use `running`, which sees to its end."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        ignored: Sequence[signal.Signals] = (),
        module: str = "framework",
    ) -> None:
        """`module` is what is run in place of the program, for a broken variant of it."""
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output, inherited(ignored):
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, "run", "--set", "http.port=0", *arguments],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._url = ""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log so far; what is no JSON line is under `text`."""
        with self._log.open("rb") as log:
            log.seek(self._offset)
            text = log.read().decode()
        return [json.loads(line) if line.startswith("{") else {"event": "", "text": line} for line in text.splitlines()]

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The lines of an event with these fields."""
        return [
            line
            for line in self.lines
            if line["event"] == event and all(line.get(name) == value for name, value in fields.items())
        ]

    @property
    def url(self) -> str:
        """Where it serves metrics and health."""
        if not self._url:
            wait_until(lambda: self.logged("listening") or self.has_ended, "listening daemon")
            assert self.logged("listening"), self.tail
            self._url = self.logged("listening")[0]["http"]
        return self._url

    @property
    def tail(self) -> str:
        """The end of its log, for messages."""
        return "\n".join(str(line) for line in self.lines[-15:])

    def not_ready(self) -> list[str]:
        """Why it is not ready; empty when it is."""
        status, body = get(f"{self.url}/readyz")
        if status == 200:
            return []
        return list(json.loads(body)["reasons"]) if body else ["no answer"]

    def wait_ready(self, *, timeout_s: float = READY_S) -> None:
        """Return once it says that it is ready."""
        try:
            wait_until(lambda: not self.not_ready(), "readiness", timeout_s=timeout_s)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.not_ready()}\n{self.tail}") from None

    def wait_ready_but(self, words: Sequence[str], *, timeout_s: float = READY_S) -> None:
        """Return once every reason why it is not ready has one of these words."""

        def is_ready() -> bool:
            return all(any(word in reason for word in words) for reason in self.not_ready())

        wait_until(is_ready, f"readiness but for {', '.join(words)}", timeout_s=timeout_s)

    def metrics(self) -> dict[tuple[str, Labels], float]:
        """Every sample, by name and sorted labels."""
        text = get(f"{self.url}/metrics")[1].decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.metrics().items() if found == name and wanted <= set(has))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait_for_handlers(self) -> None:
        """Return as soon as it has a handler for SIGTERM, which is before it has loaded anything."""
        status, mask = Path(f"/proc/{self._process.pid}/status"), 1 << (signal.SIGTERM - 1)
        wait_until(lambda: int(status.read_text().split("SigCgt:")[1].split()[0], 16) & mask, "handler of SIGTERM")

    def terminate(self) -> tuple[int, float]:
        """Ask it to stop; its exit code and the seconds it took."""
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self.wait(30), time.monotonic() - started

    def kill(self) -> None:
        """End it without a word of warning."""
        self._process.kill()
        self._process.wait(10)

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(timeout_s)

    @property
    def has_ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    @property
    def rss_bytes(self) -> int:
        """The memory that it holds, without its children."""
        line = Path(f"/proc/{self._process.pid}/status").read_text().split("VmRSS:")[1]
        return int(line.split()[0]) * 1024

    def children(self) -> list[int]:
        """The processes that it has started."""
        listing = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(number) for number in listing.split()]


@contextmanager
def running(arguments: Sequence[str], log: Path) -> Iterator[Daemon]:
    """A daemon for the length of a `with`; killed at its end if it still runs, and its sandboxes with it."""
    daemon = Daemon(arguments, log)
    try:
        yield daemon
    finally:
        if not daemon.has_ended:
            daemon.terminate()
        if not daemon.has_ended:
            daemon.kill()


class Sandbox:
    """A local exchange, Kalshi's unless told otherwise, as a process of its own: what it knows outlives the daemon."""

    def __init__(
        self,
        directory: Path,
        *,
        module: str = KALSHI,
        speed: float = 20,
        seed: int = 7,
        markets: int = 2,
        **more: object,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if module == KALSHI:
            keep_rsa_key(directory)
        options = {"--dir": directory, "--seed": seed, "--markets": markets, "--speed": speed, "--port": 0}
        options |= {f"--{name.replace('_', '-')}": value for name, value in more.items()}
        with (directory / "sandbox.log").open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    module,
                    *(str(word) for pair in options.items() for word in pair),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self._process.stdout.readline())

    def truth(self) -> dict[str, Any]:
        """What really happened."""
        status, body = get(f"{self.ready['admin_url']}/truth")
        assert status == 200, body
        return dict(json.loads(body))

    def fault(self, **description: object) -> None:
        """Have something go wrong."""
        status, body = get(f"{self.ready['admin_url']}/faults", method="POST", body=description)
        assert status == 201, body

    def reset(self) -> None:
        """A fresh exchange with the same seed and keys, as if it had just been started."""
        status, body = get(f"{self.ready['admin_url']}/reset", method="POST")
        assert status < 300, body

    @property
    def has_ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    def heal(self) -> None:
        """End every fault."""
        get(f"{self.ready['admin_url']}/faults", method="DELETE")

    def open_orders(self) -> list[dict[str, Any]]:
        """Our orders that may still trade."""
        return [order for order in self.truth()["orders"] if order["status"] in ("resting", "pending")]

    def positions(self) -> dict[str, Decimal]:
        """Net contracts per market that are not 0."""
        truth = self.truth()
        return {
            market: Decimal(position["net"]).scaleb(-truth["decimals"][market]["size"])
            for positions in truth["positions"].values()
            for market, position in positions.items()
            if position["net"]
        }

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still for the length of a `with`: connections stay, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP makes it hang."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def venue_toml(ready: Mapping[str, Any], **settings: object) -> str:
    """The configuration rows of a sandbox that runs by itself."""
    chosen = {
        "rest_url": ready["rest_url"],
        "ws_url": ready["ws_url"],
        "key_id": ready["key_id"],
        "private_key_path": ready["private_key_path"],
        "markets": ["*"],
        **settings,
    }
    rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in chosen.items())
    return f"[venues.kalshi]\nembedded_sandbox = false\n[venues.kalshi.settings]\n{rows}\n"
