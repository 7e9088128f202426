"""Every refusal in the venue's format: a status and one of the documented or recorded body shapes.

Three shapes plus one string (recorded answers): nested under `error`, flat, bare `msg`, and `{"error": "…"}`
for too many requests. The `service` member that older recordings carry is gone from the venue.
"""

from __future__ import annotations

from typing import Any

from connectors.sandbox.serving.fields import Reason
from connectors.sandbox.serving.rest import Refusal

AUTHENTICATION_ERROR = "authentication_error"

# Code of a nested refusal -> HTTP status where it is not 400. Recorded answers: order_already_exists, not_found. The
# others are third-party observations or, where the venue has shown none (market_inactive), assumptions.
STATUS_OF_CODE: dict[str, int] = (
    dict.fromkeys(("order_already_exists", "fill_or_kill_insufficient_resting_volume"), 409)
    | dict.fromkeys(("trading_is_paused", "exchange_is_paused", "market_closed", "market_inactive"), 409)
    | {"market_not_found": 404, "not_found": 404, "forbidden": 403}
)


def error_object(code: str, details: str | None = None, *, message: str | None = None) -> dict[str, Any]:
    """The inner object `{code, message, details?}`; the message defaults to the code with spaces for underscores."""
    inner: dict[str, Any] = {"code": code, "message": code.replace("_", " ") if message is None else message}
    if details is not None:
        inner["details"] = details
    return inner


def nested(code: str, details: str | None = None) -> Refusal:
    """Exchange refusal `{"error": {...}}` with the status that belongs to `code` (400 when none is listed).

    A dynamic code (`user_not_found: <uuid>`) has its own status 400 and repeats itself as the message.
    """
    return Refusal(STATUS_OF_CODE.get(code, 400), {"error": error_object(code, details)})


def unauthorized(code: str, details: str | None = None) -> Refusal:
    """A 401 as recorded. The message of `authentication_error` is the code itself, unlike all others."""
    message = code if code == AUTHENTICATION_ERROR else None
    return Refusal(401, {"error": error_object(code, details, message=message)})


def bad_request(details: str) -> Refusal:
    """A body that does not decode: the flat shape (recorded answer)."""
    return Refusal(400, error_object("bad_request", details))


def too_many_requests() -> Refusal:
    """The 429, without any header that names a time to retry (vendor docs)."""
    return Refusal(429, {"error": "too many requests"})


class KalshiComplaints:
    """How the venue refuses fields (`fields.Complaints`).

    Wrong JSON types answer the flat `bad_request` (recorded answer), missing or undocumented values the nested
    `invalid_parameters`, query values out of range the bare `msg` (recorded answer).
    """

    def not_json(self, text: str) -> Refusal:
        """A body that does not decode."""
        return bad_request(f"json: {text}")

    def wrong_type(self, where: str, name: str, *, value: object, wanted: str) -> Refusal:
        """A member, or the whole body when `name` is empty, of another type, in the words of the venue's decoder."""
        if not name:
            return bad_request(f"json: cannot unmarshal {go_type(value)} into Go value of type {where}")
        go_name = {"integer": "int64", "strings": "[]string", "objects": f"[]{where}"}.get(wanted, wanted)
        field = f"Go struct field {where}.{name} of type {go_name}"
        return bad_request(f"json: cannot unmarshal {go_type(value)} into {field}")

    def missing(self, _where: str, _name: str) -> Refusal:
        """A required member that is not there."""
        return nested("invalid_parameters")

    def invalid(self, _where: str, _name: str, *, value: object) -> Refusal:
        """A value that is not allowed."""
        return nested("invalid_parameters")

    def bad_query(self, where: str, name: str, *, reason: Reason) -> Refusal:
        """A query that fails validation: the bare shape (recorded answer for `limit` above its maximum)."""
        field = "".join(part.capitalize() for part in name.split("_"))
        text = (
            f"Parameter validation failed for {where}: Key: '{where}Params.{field}' "
            f"Error:Field validation for '{field}' failed on the '{_TAGS[reason]}' tag"
        )
        return Refusal(400, {"msg": text})


COMPLAINTS = KalshiComplaints()
_TAGS: dict[Reason, str] = {
    "missing": "required",
    "no_number": "number",
    "no_choice": "oneof",
    "too_many": "max",
    "too_high": "lte",
    "too_low": "gte",
}
_GO_NAMES = ((bool, "bool"), (int, "number"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))


def go_type(value: object) -> str:
    """The JSON kind of `value` as the venue's decoder names it (recorded answers)."""
    return next((name for kind, name in _GO_NAMES if isinstance(value, kind)), "null")
