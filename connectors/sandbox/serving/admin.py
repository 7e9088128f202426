"""The administrator's side of a sandbox, which no venue has: audit report, faults, acts, reset. Loopback only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Protocol

import msgspec
from aiohttp import web

from connectors.sandbox.serving.acts import ActRequestError, perform
from connectors.sandbox.serving.faults import FaultRequestError
from connectors.sandbox.serving.rest import NOT_JSON
from connectors.sandbox.serving.standing_faults import check_fault
from connectors.sandbox.serving.truth import truth
from connectors.sandbox.serving.venue import ServedVenue

ADMIN_PREFIX = "/admin"


class Administered(Protocol):
    """A venue's own state, as far as the administrator looks into it."""

    @property
    def served(self) -> ServedVenue:
        """The exchange and what its addresses share."""
        ...

    def report(self) -> Mapping[str, Any]:
        """What `GET /admin/truth` shows besides the neutral words, or instead of them where the names are the same."""
        ...


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

    def __init__(self, venue: Callable[[], Administered], controls: Controls) -> None:
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
            ("POST", "/act", self._act),
            ("POST", "/reset", self._reset),
        ):
            app.router.add_route(method, ADMIN_PREFIX + path, _local_only(handler))

    async def _truth(self, request: web.Request) -> web.Response:
        """The neutral words alone with `?words=neutral`; else those of the venue's own report win."""
        venue = self._venue()
        own = {} if request.query.get("words") == "neutral" else venue.report()
        return _json(own or truth(venue.served))

    async def _list_faults(self, _request: web.Request) -> web.Response:
        faults = self._venue().served.faults
        return _json({"faults": faults.listed(), "kinds": faults.kinds, "struck": faults.struck})

    async def _add_faults(self, request: web.Request) -> web.Response:
        """One fault as an object, or several as an array; all or none are planned."""
        served = self._venue().served
        try:
            # Check all before planning one: a wrong one in the middle must not leave half of them in force.
            described = [served.faults.check(one) for one in _objects(await request.read())]
            for one in described:
                check_fault(one, served)
            planned = [served.faults.add(one) for one in described]
        except (FaultRequestError, *NOT_JSON) as error:
            return _json({"error": str(error)}, 400)
        self._controls.faults_changed()
        return _json({"fault_ids": planned}, 201)

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._controls.end_faults()
        return _json({})

    async def _remove_fault(self, request: web.Request) -> web.Response:
        number = request.match_info["fault_id"]
        if not number.isdecimal() or not self._venue().served.faults.remove(int(number)):
            return _json({"error": f"fault_id {number} is not in force; GET {ADMIN_PREFIX}/faults lists them"}, 404)
        self._controls.faults_changed()
        return _json({})

    async def _act(self, request: web.Request) -> web.Response:
        """One act, or several in order: the first that is refused ends it, and those before it stand."""
        served = self._venue().served
        try:
            answers = [perform(served, one) for one in _objects(await request.read())]
        except (ActRequestError, FaultRequestError, *NOT_JSON) as error:
            return _json({"error": str(error)}, 400)
        finally:
            served.publish_events()
        return _json(answers[0] if len(answers) == 1 else {"acts": answers})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._controls.reset()
        return _json({})


def is_local(remote: str | None) -> bool:
    """True when the peer's address is a loopback one; None (no peer address known) is not."""
    return remote is not None and ip_address(remote).is_loopback


def _objects(raw: bytes) -> list[dict[str, Any]]:
    """A body that is one object or an array of them. Raises `FaultRequestError` for anything else."""
    wanted = msgspec.json.decode(raw)
    listed = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(one, dict) for one in listed):
        raise FaultRequestError("the body must be an object or an array of objects")
    return listed


def _local_only(handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    async def guarded(request: web.Request) -> web.Response:
        if not is_local(request.remote):
            return _json({"error": "the admin endpoints answer on loopback only"}, 403)
        answer: web.Response = await handler(request)
        return answer

    return guarded


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
