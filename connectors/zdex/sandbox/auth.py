"""Who may ask for what: API keys with a signature over the query, and the token of a session in the browser.

Written apart from the client's signer. The text that is signed is the query without `signature`, sorted by name, as
the vendor's page describes it; it is built here from the query as it came.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_plus

from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S
from connectors.sandbox.serving.keys import UsedOnce, hmac_is_valid, kept_secret
from connectors.sandbox.serving.rest import Arrival, Refusal, Route
from connectors.zdex.sandbox.venue import ZdexVenue

KEY_HEADER = "X-API-KEY"
ACTIVE_MAX = 5
"""So many active keys an account may have (seed page)."""
SCOPES = ("READ_ONLY", "TRADE", "WITHDRAW")
SESSION = "SESSION"
"""What only a session may do."""
REPLAY_NS = 60 * NS_PER_S
INCLUDED = {"READ_ONLY": ("READ_ONLY",), "TRADE": ("READ_ONLY", "TRADE"), "WITHDRAW": SCOPES}
"""What a key with a permission may do."""


@dataclass
class ApiKey:
    """One key. Times are nanoseconds of the engine, 0 for never; `ips` empty lets every address in."""

    id: str
    api_key: str
    secret: str
    label: str
    permissions: list[str]
    ips: list[str] = field(default_factory=list)
    is_active: bool = True
    created_ns: int = 0
    used_ns: int = 0
    expires_ns: int = 0

    def may(self, scope: str) -> bool:
        """Whether one of its permissions includes `scope`."""
        return any(scope in INCLUDED.get(one, ()) for one in self.permissions)


class Keys:
    """All keys of the account, the secret of its session tokens, and the signatures that were used."""

    def __init__(self) -> None:
        self.by_key: dict[str, ApiKey] = {}
        self.token = ""
        self.signatures = UsedOnce(REPLAY_NS)

    def add(self, key: ApiKey) -> None:
        """Let a key in."""
        self.by_key[key.api_key] = key

    def active(self, now_ns: int) -> list[ApiKey]:
        """The keys that work now."""
        return [one for one in self.by_key.values() if one.is_active and not 0 < one.expires_ns <= now_ns]

    def is_session(self, token: str) -> bool:
        """Whether this is the token of a session."""
        return bool(self.token) and hmac.compare_digest(self.token.encode(), token.encode(errors="replace"))


class Caller(NamedTuple):
    """Who asks: a key, or the session when it is None."""

    key: ApiKey | None


@dataclass(frozen=True)
class Call:
    """One admitted request, as handlers take it."""

    venue: ZdexVenue
    keys: Keys
    arrival: Arrival


def make_keys(directory: Path, keys: Keys, prefix: str) -> dict[str, str]:
    """The keys of a trader and of a reader, and a session token, kept in the directory with mode 0600; members of the
    ready line. Raises `OSError` when a file can't be read or written."""
    ready: dict[str, str] = {}
    for name, permissions in (("trader", ["READ_ONLY", "TRADE"]), ("reader", ["READ_ONLY"])):
        path = directory / f"zdex-{name}.secret"
        secret = kept_secret(path, lambda: secrets.token_hex(32))
        api_key = prefix + sha256(f"{name} {secret}".encode()).hexdigest()[:40]
        keys.add(ApiKey(f"key_{name}", api_key, secret, f"sandbox {name}", permissions))
        member = "api" if name == "trader" else "reader_api"
        ready |= {f"{member}_key": api_key, f"{member}_secret_path": str(path)}
    path = directory / "zdex-session.token"
    keys.token = kept_secret(path, lambda: session_token(secrets.token_bytes(32)))
    return ready | {"session_token_path": str(path)}


def session_token(key: bytes) -> str:
    """A JSON web token of the member, signed by HMAC-SHA256."""
    parts = [_encoded(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, {"sub": "acct_member"})]
    text = ".".join(parts)
    return f"{text}.{_encoded(hmac.new(key, text.encode(), sha256).digest())}"


def admit(venue: ZdexVenue, keys: Keys, arrival: Arrival, route: Route[Call]) -> Call:
    """Check who asks, whether they may, and whether their limit has room. Raises `Refusal`."""
    if route.scope is None:
        window = venue.public_window(arrival.http.remote or "")
        if not window.take(1, arrival.now_ns):
            raise venue.too_many(window, arrival.now_ns)
        return Call(venue, keys, arrival)
    caller = _caller(venue, keys, arrival)
    if caller.key is not None and route.scope == SESSION:
        raise venue.refusal(403, "API keys can't do this: use the web interface")
    if caller.key is not None and not caller.key.may(route.scope):
        raise venue.refusal(403, f"Missing permission: {route.scope}")
    full = venue.windows.take(route.pool, arrival.now_ns)
    if full is not None:
        raise venue.too_many(full, arrival.now_ns)
    return Call(venue, keys, arrival)


def _caller(venue: ZdexVenue, keys: Keys, arrival: Arrival) -> Caller:
    scheme, _, token = arrival.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if not keys.is_session(token):
            raise venue.refusal(401, "Invalid or expired token")
        return Caller(None)
    key = keys.by_key.get(arrival.headers.get(KEY_HEADER, ""))
    if key is None or key not in keys.active(arrival.now_ns):
        raise _unauthorized(venue, "Invalid API key")
    text, signature, stamp = signed_text(arrival.path_and_query)
    if not hmac_is_valid(key.secret.encode(), text.encode(), signature):
        raise _unauthorized(venue, "Invalid signature")
    is_time = stamp.isascii() and stamp.isdigit() and len(stamp) < 16
    if not is_time or abs(int(stamp) * NS_PER_MS - venue.served.clock.shown_ns()) > venue.dialect.drift_ns:
        raise _unauthorized(venue, "Timestamp outside of the allowed window")
    if venue.dialect.refuses_replays and not keys.signatures.take(f"{key.api_key} {signature}", arrival.now_ns):
        raise replayed(venue)
    if key.ips and (arrival.http.remote or "") not in key.ips:
        raise ip_refused(venue)
    key.used_ns = arrival.now_ns
    return Caller(key)


def signed_text(path_and_query: str) -> tuple[str, str, str]:
    """The text that is to be signed, the signature, and the time that it names; empty where they are missing.

    Every value is encoded anew as forms are (URLSearchParams, vendor docs of v2): of what a client has encoded in
    another way, such as a space as %20, the signature is wrong.
    """
    pairs = parse_qsl(path_and_query.partition("?")[2], keep_blank_values=True)
    found = dict(pairs)
    text = "&".join(f"{_form(name)}={_form(value)}" for name, value in sorted(pairs) if name != "signature")
    return text, found.get("signature", ""), found.get("timestamp", "")


def _form(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def replayed(venue: ZdexVenue) -> Refusal:
    """The refusal of a signature that has been used."""
    return _unauthorized(venue, "Signature already used (replay)")


def ip_refused(venue: ZdexVenue) -> Refusal:
    """The refusal of an address that the key does not list."""
    return venue.refusal(403, "IP address is not in the key's whitelist")


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _unauthorized(venue: ZdexVenue, reason: str) -> Refusal:
    """v1 has one text for whatever is wrong (vendor docs); v2's own texts are not documented (*assumption*)."""
    return venue.refusal(401, reason if venue.dialect.is_v2 else "Invalid or expired token")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
