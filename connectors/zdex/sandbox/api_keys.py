"""The account's API keys: create, list, update, revoke, for sessions only (seed page)."""

from __future__ import annotations

import secrets
from typing import Any

from connectors.sandbox.engine.model import NS_PER_MS
from connectors.sandbox.serving.fields import Body, OneComplaint, decode_body
from connectors.sandbox.serving.rest import Refusal, Reply
from connectors.zdex.sandbox.auth import ACTIVE_MAX, SCOPES, ApiKey, Call, is_address
from connectors.zdex.sandbox.render import iso

LABEL_MAX = 50
PREFIX_CHARS = 13
"""So much of a key is shown in lists: "zdex_a1b2c3d4"."""
PREFIXES = {"v1": "zdex_", "v2": "zd_"}


def create(call: Call) -> Reply:
    """POST /api-keys. The secret is in this answer and nowhere else."""
    body, now_ns = _body(call), call.arrival.now_ns
    fields = _fields(call, body)
    if "label" not in fields:
        raise call.venue.refusal(400, "label is required")
    if len(call.keys.active(now_ns)) >= ACTIVE_MAX:
        raise call.venue.refusal(400, f"Maximum {ACTIVE_MAX} active API keys per account")
    key = ApiKey(
        id=f"clx{secrets.token_hex(11)}",
        api_key=PREFIXES[call.venue.dialect.name] + secrets.token_hex(20),
        secret=secrets.token_hex(32),
        label=fields["label"],
        permissions=fields.get("permissions", ["READ_ONLY"]),
        ips=fields.get("ips", []),
        created_ns=now_ns,
        expires_ns=fields.get("expires_ns", 0),
    )
    call.keys.add(key)
    return Reply(
        {
            "ok": True,
            "id": key.id,
            "apiKey": key.api_key,
            "secretKey": key.secret,
            "label": key.label,
            "permissions": key.permissions,
            "message": "Save your secret key now. It will not be shown again.",
        }
    )


def listed(call: Call) -> Reply:
    """GET /api-keys: revoked ones too."""
    return Reply({"ok": True, "keys": [_row(call, one) for one in call.keys.by_key.values()]})


def update(call: Call) -> Reply:
    """PATCH /api-keys/ID: what is given, and nothing else."""
    key, fields = _named(call), _fields(call, _body(call))
    for name, value in fields.items():
        setattr(key, name, value)
    return Reply({"ok": True, "key": _row(call, key)})


def revoke(call: Call) -> Reply:
    """DELETE /api-keys/ID: for good."""
    _named(call).is_active = False
    return Reply({"ok": True})


def _named(call: Call) -> ApiKey:
    found = next((one for one in call.keys.by_key.values() if one.id == call.arrival.params["id"]), None)
    if found is None or not found.is_active:
        raise call.venue.refusal(404, "API key not found")
    return found


def _body(call: Call) -> Body:
    def refuse(text: str) -> Refusal:
        return call.venue.refusal(400, text)

    return decode_body(call.arrival.raw, "api key", OneComplaint(refuse))


def _fields(call: Call, body: Body) -> dict[str, Any]:
    """The members that are given, checked, by the names of `ApiKey`."""
    found: dict[str, Any] = {}
    if body.has("label"):
        found["label"] = body.required_text("label")
        if len(found["label"]) > LABEL_MAX:
            raise call.venue.refusal(400, f"label must be at most {LABEL_MAX} characters")
    if body.has("permissions"):
        found["permissions"] = list(dict.fromkeys(body.texts("permissions") or []))
        wrong = [one for one in found["permissions"] if one not in SCOPES]
        if wrong or not found["permissions"]:
            raise call.venue.refusal(400, f"permissions must be of {', '.join(SCOPES)}")
    if body.has("ipWhitelist"):
        found["ips"] = body.texts("ipWhitelist") or []
        if not all(map(is_address, found["ips"])):
            raise call.venue.refusal(400, "ipWhitelist must hold IP addresses")
    if body.has("expiresAt"):
        found["expires_ns"] = _expiry_ns(call, body)
    return found


def _expiry_ns(call: Call, body: Body) -> int:
    """Milliseconds; that it is written so is an *assumption*: the page says only that keys can have an end."""
    expires_ns = call.venue.served.clock.to_engine_ns((body.integer("expiresAt") or 0) * NS_PER_MS)
    if expires_ns <= call.arrival.now_ns:
        raise call.venue.refusal(400, "expiresAt must be in the future")
    return expires_ns


def _row(call: Call, key: ApiKey) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": key.id,
        "label": key.label,
        "keyPrefix": key.api_key[:PREFIX_CHARS],
        "permissions": key.permissions,
        "ipWhitelist": key.ips,
        "isActive": key.is_active,
        "lastUsedAt": iso(call.venue, key.used_ns),
        "createdAt": iso(call.venue, key.created_ns),
    }
    return row | ({"expiresAt": iso(call.venue, key.expires_ns)} if key.expires_ns else {})
