"""The administrator's side of the sandbox, which no venue has: audit report, faults, reset. Loopback only."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Protocol

import msgspec
from aiohttp import web

from connectors.kalshi.sandbox import faults, words
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.model import Order
from connectors.sandbox.serving.faults import FAULT_KINDS, FaultRequestError

ADMIN_PREFIX = "/admin"


class Controls(Protocol):
    """What the administrator may do to the running server."""

    def faults_changed(self) -> None:
        """Bring the venue in line with its fault plan now, without waiting for the timer."""
        ...

    def end_faults(self) -> None:
        """End every fault and every silence that one has begun."""
        ...

    def reset(self) -> None:
        """Start over: a fresh venue under the same seed and keys; streams are cut."""
        ...


class Admin:
    """Answers everything under ADMIN_PREFIX, to clients on this machine only: others get 403.

    `venue` gives the current venue: a reset replaces it.
    """

    def __init__(self, venue: Callable[[], Venue], controls: Controls) -> None:
        self._venue = venue
        self._controls = controls

    def add_routes(self, app: web.Application) -> None:
        """Put the admin endpoints on the application."""
        for method, path, handler in (
            ("GET", "/truth", self._audit_report),
            ("GET", "/faults", self._list_faults),
            ("POST", "/faults", self._add_faults),
            ("DELETE", "/faults", self._clear_faults),
            ("DELETE", "/faults/{fault_id}", self._remove_fault),
            ("POST", "/reset", self._reset),
        ):
            app.router.add_route(method, ADMIN_PREFIX + path, _local_only(handler))

    async def _audit_report(self, _request: web.Request) -> web.Response:
        venue = self._venue()
        observed = venue.observed
        report = audit_report.report(venue.exchange) | {
            "orders": [_order(one) for one in venue.exchange.ledger.orders.values() if venue.is_member(one.account)],
            "connections": observed.connections,
            "faults_struck": dict(venue.faults.struck),
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
        try:
            wanted = msgspec.json.decode(await request.read())
            descriptions = wanted if isinstance(wanted, list) else [wanted]
            if not all(isinstance(one, dict) for one in descriptions):
                raise FaultRequestError("the body must be an object or an array of objects")
            # Check all before planning one: a wrong one in the middle must not leave half of them in force.
            for one in descriptions:
                faults.check_fault(one)
            planned = [self._venue().faults.add(one) for one in descriptions]
        except (FaultRequestError, msgspec.DecodeError) as error:
            return _json({"error": str(error)}, 400)
        self._controls.faults_changed()
        return _json({"fault_ids": planned}, 201)

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._controls.end_faults()
        return _json({})

    async def _remove_fault(self, request: web.Request) -> web.Response:
        number = request.match_info["fault_id"]
        if not number.isdigit() or not self._venue().faults.remove(int(number)):
            return _json({"error": f"fault_id {number} is not in force; GET {ADMIN_PREFIX}/faults lists them"}, 404)
        self._controls.faults_changed()
        return _json({})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._controls.reset()
        return _json({})


def _order(order: Order) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(order)
    return shown | {"status": words.status_of(order), "reason": words.reason_of(order)}


def is_local(remote: str | None) -> bool:
    """True when the peer's address is a loopback one; None (no peer address known) is not."""
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
