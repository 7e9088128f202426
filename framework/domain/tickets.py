"""Tickets: a type is the right to the next stage. Intent -> Approved | Refused -> Signed -> Sent.

`Approved` is built in `risk/gate.py` and nowhere else; `Signed` by a gateway from an `Approved`.
"""

from __future__ import annotations

import msgspec

from framework.domain.intents import Intent
from framework.domain.limits import RequestKind
from framework.domain.refusals import RefusalCode


class Approved(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """The gate's yes. `client_order_id` names the order that the intent makes, changes or ends.

    `request_kind` decides priority and price of the request that will carry it. `ts_ns` is the kernel's time.
    """

    intent: Intent
    venue: str
    client_order_id: str
    request_kind: RequestKind
    ts_ns: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """The gate's no: the code, the numbers behind it, and the check that said it."""

    intent: Intent
    code: RefusalCode
    detail: str
    check: str
    ts_ns: int


Verdict = Approved | Refused


class Signed(msgspec.Struct, frozen=True, gc=False):
    """A request ready for the wire, signed a moment ago. `wire` is the gateway's own form of it.

    `digest` is the SHA-256 of the exact bytes of the request's body and target: it goes to the journal first.
    """

    approved: Approved
    wire: object
    digest: str
