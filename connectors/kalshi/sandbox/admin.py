"""The administrator's side of the sandbox, which no venue has: the truth, the faults, the reset. Loopback only."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Protocol

import msgspec
from aiohttp import web

from connectors.kalshi.sandbox import faults
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox import audit_report as truth
from connectors.sandbox.faults import FAULT_KINDS, FaultRequestError

PREFIX = "/admin"
BODY_BYTES_MAX = 64 * 1024


class Controls(Protocol):
    """What the administrator may do to the running server."""

    def faults_changed(self) -> None:
        """Bring the venue in line with its fault plan now."""
        ...

    def heal(self) -> None:
        """End every fault and every silence that one has begun."""
        ...

    def reset(self) -> None:
        """Start over: a fresh venue under the same seed and keys; streams are cut."""
        ...


class Admin:
    """Answers everything under the admin prefix."""

    def __init__(self, venue: Callable[[], Venue], controls: Controls) -> None:
        self._venue = venue
        self._controls = controls

    def add_routes(self, app: web.Application) -> None:
        """Put the admin endpoints on the application."""
        for method, path, handler in (
            ("GET", "/truth", self._truth),
            ("GET", "/faults", self._list_faults),
            ("POST", "/faults", self._add_faults),
            ("DELETE", "/faults", self._clear_faults),
            ("DELETE", "/faults/{fault_id}", self._remove_fault),
            ("POST", "/reset", self._reset),
        ):
            app.router.add_route(method, PREFIX + path, _local_only(handler))

    async def _truth(self, _request: web.Request) -> web.Response:
        venue = self._venue()
        observed = venue.observed
        report = truth.report(venue.exchange) | {
            "connections": observed.connections,
            "faults_struck": dict(venue.faults.struck),
            "problems": truth.problems(venue.exchange),
            "rate_limited": observed.rate_limited,
            "refused_signatures": venue.keys.refused_signatures,
            "requests": dict(observed.requests),
            "server_errors": observed.server_errors,
        }
        return _json(report)

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return _json({"faults": self._venue().faults.listed(), "kinds": FAULT_KINDS})

    async def _add_faults(self, request: web.Request) -> web.Response:
        """One fault as an object, or several as an array; all or none are planned."""
        plan = self._venue().faults
        try:
            wanted = msgspec.json.decode(await request.read())
            descriptions = wanted if isinstance(wanted, list) else [wanted]
            if not all(isinstance(one, dict) for one in descriptions):
                raise FaultRequestError("the body must be an object or an array of objects")
            for one in descriptions:
                faults.check(one)
            planned = [plan.add(one) for one in descriptions]
        except (FaultRequestError, msgspec.DecodeError) as error:
            return _json({"error": str(error)}, 400)
        self._controls.faults_changed()
        return _json({"fault_ids": planned}, 201)

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._controls.heal()
        return _json({})

    async def _remove_fault(self, request: web.Request) -> web.Response:
        number = request.match_info["fault_id"]
        if not number.isdigit() or not self._venue().faults.remove(int(number)):
            return _json({"error": f"fault_id {number} is not in force; GET {PREFIX}/faults lists them"}, 404)
        self._controls.faults_changed()
        return _json({})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._controls.reset()
        return _json({})


def is_local(remote: str | None) -> bool:
    """True when the peer's address is one of this machine's loopback addresses."""
    return remote is not None and ip_address(remote).is_loopback


def _local_only(handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    async def guarded(request: web.Request) -> web.Response:
        if not is_local(request.remote):
            return _json({"error": "the admin endpoints answer on loopback only"}, 403)
        answer: web.Response = await handler(request)
        return answer

    return guarded


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
