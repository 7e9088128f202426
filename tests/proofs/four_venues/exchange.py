"""The venues of `config/four-venues.toml`, each sandbox a process of its own, which outlives the daemon."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from framework.config.layers import load
from framework.config.resolve import ResolvedVenue, resolve
from tests.support.daemon import ROOT, Sandbox, get

CONFIGURATION = ROOT / "config" / "four-venues.toml"
Json = Mapping[str, Any]


class Exchange:
    """One venue's sandbox, as the configuration would embed it: same module, seed, markets and speed.

    `settings` are laid over the configuration's, to make waits short enough for a test. It does not run until `start`,
    but keys and address are settled when this returns.
    """

    def __init__(self, venue: ResolvedVenue, directory: Path, settings: Json) -> None:
        self.name = venue.name
        self._venue = venue
        self._directory = directory
        self._settings = settings
        self._sandbox = self._launch(0)
        self.ready: Json = self._sandbox.ready
        self.is_up = True
        self.last_truth: Json = {}

    @property
    def admin_url(self) -> str:
        """The administrator's address."""
        return str(self.ready["admin_url"])

    @property
    def has_stream(self) -> bool:
        """Whether the venue streams anything."""
        return bool(self.ready.get("ws_url"))

    @property
    def silence_ms_max(self) -> int:
        """After how long the connector takes a silent stream for dead; 0 without a stream."""
        field = self._venue.plugin.settings_model.model_fields.get("silence_ms_max")
        return int(self._settings.get("silence_ms_max", field.default)) if field else 0

    def table(self) -> str:
        """The rows that lead the daemon to this process in place of an embedded sandbox."""
        assert self._venue.plugin.sandbox_settings is not None
        chosen = {**self._venue.plugin.sandbox_settings(self.ready), **self._settings}
        rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in chosen.items())
        return f"[venues.{self.name}]\nembedded_sandbox = false\n[venues.{self.name}.settings]\n{rows}\n"

    def truth(self) -> Json:
        """What really happened, in the words that all venues share. Of one that is dead, what was last heard of it."""
        if self.is_up:
            status, body = get(f"{self.admin_url}/truth?words=neutral")
            assert status == 200, f"{self.name} answered {status} and not its truth: {body[:200]!r}"
            self.last_truth = json.loads(body)
        return self.last_truth

    def plan(self) -> Json:
        """Its `faults` in force, the `kinds` that it can commit, and how often each has `struck`."""
        return dict(json.loads(get(f"{self.admin_url}/faults")[1]))

    def fault(self, description: Json) -> None:
        """Have something go wrong."""
        status, body = get(f"{self.admin_url}/faults", method="POST", body=description)
        assert status == 201, f"{self.name} does not take {description}: {body!r}"

    def heal(self) -> None:
        """End every fault."""
        get(f"{self.admin_url}/faults", method="DELETE")

    def die(self) -> None:
        """SIGKILL. What it knew is gone; `truth` says what it was asked for immediately before."""
        self.truth()
        self.is_up = False
        self._sandbox.signal(signal.SIGKILL)
        self._sandbox.stop()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP makes it hang."""
        self._sandbox.signal(number)

    def start(self) -> None:
        """Begin anew at the same address, with the same keys."""
        self._sandbox = self._launch(urlsplit(self.admin_url).port or 0)
        self.is_up = True

    def stop(self) -> None:
        """End it, if it runs."""
        if self.is_up:
            self.is_up = False
            self._sandbox.stop()

    def _launch(self, port: int) -> Sandbox:
        options = self._venue.row.sandbox
        return Sandbox(
            self._directory,
            module=self._venue.plugin.sandbox_module,
            speed=options.speed,
            seed=options.seed,
            markets=options.markets,
            port=port,
            **options.options,
        )


def venues() -> list[ResolvedVenue]:
    """The venues of the configuration, read from its file."""
    return list(resolve(load([CONFIGURATION], environ={})).venues)
