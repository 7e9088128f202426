"""A venue's sandbox as the suite sees it: the process, and the administrator's address that drives and shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from framework.runtime.sandbox_process import SandboxProcess
from framework.testing.conformance.candidates import Candidate
from framework.testing.conformance.findings import NotStaged, expect

STORM = "rate_limit_storm"

Json = dict[str, Any]


class Sandbox:
    """One running sandbox. `ready` is the line that it printed. Shared by all cases: `reset` makes a fresh exchange.

    `is_storming`: since then it was told to refuse requests with 429.
    """

    def __init__(self, process: SandboxProcess, http: aiohttp.ClientSession) -> None:
        self._process = process
        self._http = http
        self.ready = process.ready
        self.is_storming = False

    @classmethod
    async def start(cls, venue: Candidate, directory: Path, more: Sequence[str] = ()) -> Sandbox:
        """Start the venue's sandbox as the daemon does, with `more` arguments and its files in `directory`.

        Raises `Fatal` when it does not become ready.
        """
        arguments = ["--port", "0", "--dir", str(directory), *venue.declaration.sandbox.arguments, *more]
        module, log = venue.plugin.sandbox_module, directory / "sandbox.log"
        process = await SandboxProcess.start(module, arguments, log, folders=venue.plugin_paths)
        return cls(process, aiohttp.ClientSession())

    async def stop(self) -> None:
        """End the process and the connections to it."""
        await self._http.close()
        await self._process.stop()

    @property
    def port(self) -> int:
        """The port of its REST address; the stream's is the same one."""
        return urlsplit(self.ready["rest_url"]).port or 0

    @property
    def has_stream(self) -> bool:
        """Whether the venue has a stream, or is polled only."""
        return bool(self.ready.get("ws_url"))

    async def reset(self) -> None:
        """A fresh exchange with the same seed and keys."""
        self.is_storming = False
        await self._ask("POST", "reset", {})

    async def truth(self) -> Json:
        """What really happened, as the exchange has it, in the words that all sandboxes share."""
        return await self._ask("GET", "truth?words=neutral", None)

    async def act(self, act: str, **fields: Any) -> Json:
        """Have the counterparty, or the venue itself, do something. Raises `NotStaged` when the sandbox can't."""
        return await self._stage("act", {"act": act, **fields})

    async def fault(self, kind: str, **fields: Any) -> None:
        """Have something go wrong. Raises `NotStaged` when the sandbox can't."""
        self.is_storming |= kind == STORM
        await self._stage("faults", {"kind": kind, **fields})

    async def spoil(self, kind: str, request: str, **fields: Any) -> None:
        """Have something go wrong with the next request that matches "METHOD path-pattern"."""
        method, _, path = request.partition(" ")
        await self.fault(kind, count=1, match={"method": method, "path": path}, **fields)

    async def require_struck(self, kind: str) -> None:
        """Make sure that a planned fault has struck; one that is used up is not listed any more. Raises `NotStaged`
        when the sandbox took it and did nothing."""
        faults = (await self._ask("GET", "faults", None))["faults"]
        if any(one["kind"] == kind and not one["struck"] for one in faults):
            raise NotStaged(f"the fault {kind} is planned and never strikes")

    async def end_faults(self) -> None:
        """End every fault that is planned or in force."""
        await self._ask("DELETE", "faults", None)

    async def _stage(self, path: str, body: Mapping[str, Any]) -> Json:
        status, answer = await self._request("POST", path, body)
        if status >= 400:
            raise NotStaged(f"{path} {dict(body)}: {status} {answer.get('error', answer)}")
        return answer

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Json:
        status, answer = await self._request(method, path, body)
        expect(status < 400, f"{method} admin/{path}: {status} {answer}")
        return answer

    async def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, Json]:
        data = None if body is None else msgspec.json.encode(body)
        async with self._http.request(method, f"{self.ready['admin_url']}/{path}", data=data) as response:
            raw = await response.read()
            return response.status, _decoded(raw)


def _decoded(raw: bytes) -> Json:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"error": raw.decode(errors="replace")[:200]}
