"""The exchange's own state, API keys, rate limits and subaccounts over REST."""

from __future__ import annotations

import uuid
from typing import Any

from connectors.kalshi.sandbox import auth, errors, wire
from connectors.kalshi.sandbox.buckets import DEFAULT_COST, ENDPOINT_COSTS, UPGRADE_COST
from connectors.kalshi.sandbox.rest.call import REST_PREFIX, Call, empty_lists
from connectors.sandbox.engine.model import NS_PER_S
from connectors.sandbox.seeding import stable_uuid
from connectors.sandbox.serving.clock import rfc3339
from connectors.sandbox.serving.fields import Body
from connectors.sandbox.serving.public_keys import (
    PublicKey,
    generate_private_key,
    load_public_key,
    private_pem,
    public_pem,
)
from connectors.sandbox.serving.rest import Reply, Route

DAY_NS = 86_400 * NS_PER_S
# How long rows stay outside /historical (vendor docs: three months; the two weeks of orders are not copied).
HISTORY_NS = 90 * DAY_NS
KEY_TYPES = {"rsa": "rsa", "ed25519": "ed25519"}
# Tiers that may register a public key of their own (vendor docs).
OWN_KEY_TIERS = frozenset({"premier", "paragon", "prime", "prestige"})
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHARD_NAMES = ("Default", "Combos", "Crypto and commodities", "Sports")


def get_exchange_status(call: Call) -> Reply:
    """GET /exchange/status: the flags of all shards, which are always alike here; the top level is shard 0."""
    phase = call.venue.exchange.state.phase
    names = ("intra_exchange_transfers_active", "trading_active")
    flags = {"exchange_active": phase != "exchange_paused"} | dict.fromkeys(names, phase == "open")
    shards = [{"description": name, "exchange_index": number} | flags for number, name in enumerate(SHARD_NAMES)]
    return Reply(flags | {"exchange_estimated_resume_time": None, "exchange_index_statuses": shards})


def get_exchange_schedule(call: Call) -> Reply:
    """GET /exchange/schedule: around the clock, with the weekly maintenance of Thursday 03:00-05:00 Eastern time.

    The sandbox does not pause then; only the schedule shows it (vendor docs).
    """
    day = call.venue.clock.shown_ns() // DAY_NS
    # 1970-01-01 was a Thursday; 03:00 Eastern standard time is 08:00 UTC.
    start_ns = -(-day // 7) * 7 * DAY_NS + DAY_NS // 3
    always = [{"close_time": "00:00", "open_time": "00:00"}]
    year = {"end_time": rfc3339((day + 365) * DAY_NS), "start_time": rfc3339((day - 365) * DAY_NS)}
    window = {"end_datetime": rfc3339(start_ns + DAY_NS // 12), "start_datetime": rfc3339(start_ns)}
    hours: dict[str, Any] = year | dict.fromkeys(DAYS, always)
    return Reply({"schedule": {"maintenance_windows": [window], "standard_hours": [hours]}})


def get_user_data_timestamp(call: Call) -> Reply:
    """GET /exchange/user_data_timestamp: as of when reads of own data are: now less the read lag."""
    return Reply({"as_of_time": call.venue.clock.rfc3339(call.now_ns - call.venue.reads.lag_ns)})


def get_historical_cutoff(call: Call) -> Reply:
    """GET /historical/cutoff: 90 days ago, so everything that the sandbox has is still live."""
    shown = call.venue.clock.rfc3339(call.now_ns - HISTORY_NS)
    names = ("market_positions_last_updated_ts", "market_settled_ts", "orders_updated_ts", "trades_created_ts")
    return Reply(dict.fromkeys(names, shown))


def get_limits(call: Call) -> Reply:
    """GET /account/limits: rates and capacities of the tier that the sandbox was started with."""
    tier = call.venue.tier
    read = {"bucket_capacity": tier.read_capacity, "refill_rate": tier.read_rate}
    write = {"bucket_capacity": tier.write_capacity, "refill_rate": tier.write_rate}
    return Reply({"grants": [], "read": read, "usage_tier": tier.name, "write": write})


def get_endpoint_costs(_call: Call) -> Reply:
    """GET /account/endpoint_costs: the default cost and the endpoints that differ from it."""
    listed = [{"cost": cost, "method": method, "path": REST_PREFIX + path} for method, path, cost in ENDPOINT_COSTS]
    return Reply({"default_cost": DEFAULT_COST, "endpoint_costs": listed})


def upgrade_tier(_call: Call) -> Reply:
    """POST /account/api_usage_level/upgrade: granted, but the sandbox keeps the tier it was started with."""
    return Reply({}, 201)


def list_keys(call: Call) -> Reply:
    """GET /api_keys: all registered keys, without their public keys."""
    keys = call.venue.keys.registered.values()
    return Reply({"api_key_region_expiration_ts": None, "api_keys": [_key(one) for one in keys]})


def create_key(call: Call) -> Reply:
    """POST /api_keys: register a public key of one's own, from the Premier tier up (vendor docs).

    Raises `Refusal`: 403 below that tier, 400 for an unusable key, scopes or subaccount.
    """
    if call.venue.tier.name not in OWN_KEY_TIERS:
        raise errors.nested("forbidden")
    body = call.body("CreateApiKeyRequest")
    public = load_public_key(body.required_text("public_key"))
    if public is None:
        raise errors.nested("invalid_parameters")
    return Reply({"api_key_id": _register(call, body, public=public)}, 201)


def generate_key(call: Call) -> Reply:
    """POST /api_keys/generate: a fresh key pair; the private key is shown once and not kept.

    Raises `Refusal` 400 for a missing name, an unknown key type, scopes or subaccount.
    """
    body = call.body("GenerateApiKeyRequest")
    key_type = body.choice("key_type", KEY_TYPES) if body.has("key_type") else "rsa"
    private = generate_private_key(key_type)
    key_id = _register(call, body, public=private.public_key())
    return Reply({"api_key_id": key_id, "key_type": key_type, "private_key": private_pem(private)}, 201)


def delete_key(call: Call) -> Reply:
    """DELETE /api_keys/{api_key}: requests signed with it are refused from now on.

    Raises `Refusal` 404 for an unknown key.
    """
    if call.venue.keys.registered.pop(call.arrival.params["api_key"], None) is None:
        raise errors.nested("not_found")
    return Reply(None, 204)


def create_subaccount(call: Call) -> Reply:
    """POST /portfolio/subaccounts: open the next number, without cash; from the Advanced tier up.

    Raises `Refusal` 403 below that tier.
    """
    if call.venue.tier.name == "basic":
        raise errors.nested("forbidden")
    return Reply({"subaccount_number": call.venue.open_subaccount({"USD": 0})}, 201)


def subaccount_balances(call: Call) -> Reply:
    """GET /portfolio/subaccounts/balances: what new orders of each subaccount may draw on, shard 0 only."""
    clock, balances = call.venue.clock, call.venue.reads.balances
    common = {"exchange_index": 0, "updated_ts": clock.seconds(call.now_ns)}
    # A subaccount opened less than the read lag ago has no visible balance yet; subaccounts open without cash.
    cash = {name: balances(name, call.now_ns).get("USD", 0) for name in call.accounts(None)}
    shown = [
        common | {"balance": wire.money_short(available), "subaccount_number": call.venue.subaccount_of(name)}
        for name, available in cash.items()
    ]
    return Reply({"subaccount_balances": shown})


def _key(key: auth.ApiKey) -> dict[str, Any]:
    shown: dict[str, Any] = {"api_key_id": key.key_id, "name": key.name, "scopes": list(key.scopes)}
    return shown if key.subaccount is None else shown | {"subaccount": key.subaccount}


def _register(call: Call, body: Body, *, public: PublicKey) -> str:
    name = body.required_text("name")
    scopes = tuple(body.texts("scopes") or auth.FULL_SCOPES)
    if not auth.SCOPES.issuperset(scopes) or ("write" in scopes and "read" not in scopes):
        raise errors.nested("invalid_parameters")
    subaccount = body.integer("subaccount")
    if subaccount is not None:
        call.account_id(subaccount)
    key_id = stable_uuid("key", public_pem(public), uuid.uuid4())
    call.venue.keys.add(auth.ApiKey(key_id, name, public, scopes, subaccount))
    return key_id


ROUTES = (
    Route("GET", "/exchange/status", get_exchange_status, None),
    Route("GET", "/exchange/schedule", get_exchange_schedule, None),
    Route("GET", "/exchange/user_data_timestamp", get_user_data_timestamp, None),
    Route("GET", "/historical/cutoff", get_historical_cutoff, None),
    Route("GET", "/historical/markets", empty_lists("markets"), None),
    Route("GET", "/historical/trades", empty_lists("trades"), None),
    Route("GET", "/historical/fills", empty_lists("fills")),
    Route("GET", "/historical/orders", empty_lists("orders")),
    Route("GET", "/historical/positions", empty_lists("market_positions", "event_positions")),
    Route("GET", "/account/limits", get_limits),
    Route("GET", "/account/endpoint_costs", get_endpoint_costs, None),
    Route("POST", "/account/api_usage_level/upgrade", upgrade_tier, "write", "write", UPGRADE_COST),
    Route("GET", "/api_keys", list_keys),
    Route("POST", "/api_keys", create_key, "write", "write"),
    Route("POST", "/api_keys/generate", generate_key, "write", "write"),
    Route("DELETE", "/api_keys/{api_key}", delete_key, "write", "write"),
    Route("POST", "/portfolio/subaccounts", create_subaccount, "write", "write"),
    Route("GET", "/portfolio/subaccounts/balances", subaccount_balances),
    Route("GET", "/portfolio/subaccounts/transfers", empty_lists("transfers")),
    Route("GET", "/portfolio/intra_exchange_instance_transfers", empty_lists("transfers")),
)
