"""What the account has and what went in and out: balances, own trades, transfers, withdrawals, API keys.

That a transfer is over after a second and a proof is ready after two is an *assumption*, as are all addresses of
contracts.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.kalqix.sandbox.markets import page
from connectors.kalqix.sandbox.rows import ASSETS, Asset
from connectors.kalqix.sandbox.venue import ACCOUNT, BALANCES, Call, KalqixVenue, Transfer
from connectors.sandbox.engine.model import NS_PER_S, Fill
from connectors.sandbox.seeding import stable_uuid
from connectors.sandbox.serving.decimals import fixed, parse_decimal, trimmed
from connectors.sandbox.serving.rest import Reply, Route

TRANSFER_NS = NS_PER_S
PROOF_NS = 2 * NS_PER_S
BRIDGE = "0x528e26b25a34a4a5d0dbda1d57d318153d2ed582"
CHAINS = {1: "Ethereum", 11155111: "Sepolia"}
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NOTHING = "0x" + 64 * "0"


def read_portfolio(call: Call) -> Reply:
    """How many assets there are, and what they are worth in dollars."""
    venue, worth, count = call.venue, 0, 0
    markets = venue.served.exchange.state.markets
    for asset, total in _totals(venue, call.now_ns).items():
        count += total > 0
        market = markets.get(f"{asset.symbol}_USDC")
        worth += total if market is None else total * market.last_price
    return Reply(
        {
            "assets_count": str(count),
            "total_value_usd": fixed(worth, 6),
            "updated_at": venue.served.clock.rfc3339_ms(call.now_ns),
        }
    )


def list_positions(call: Call) -> Reply:
    """Every asset's balance, also those of which there is none."""
    rows = [_position(call.venue, asset, call.now_ns) for asset in ASSETS.values()]
    return page(call, "account", rows, lambda row: row)


def read_position(call: Call) -> Reply:
    """The balance of one asset."""
    return Reply(_position(call.venue, _asset(call, call.arrival.params["asset"]), call.now_ns))


def read_user(call: Call) -> Reply:
    """The profile of the account's user."""
    venue = call.venue
    return Reply(
        {
            "_id": _user_id(venue),
            "created_at": venue.served.clock.rfc3339_ms(venue.opened_ns),
            "wallet_address": venue.credentials.wallet,
            "pendingDeposits": 0,
            "active": True,
        }
    )


def list_own_trades(call: Call) -> Reply:
    """The account's trades in one market, the newest first; of one with itself A has one row, B one of each part."""
    _check_user(call)
    venue, seen = call.venue, set[str]()
    spec = venue.market(call.arrival.query.get("ticker", ""))
    found: list[Fill] = []
    for fill in venue.member.fills(call.now_ns)[::-1]:
        if fill.market_id == spec.market_id and (venue.has_agents or fill.trade_id not in seen):
            seen.add(fill.trade_id)
            found.append(fill)
    return page(call, "trades", found, lambda one: venue.rows.own_trade(spec, one, venue.halves_of(one.trade_id)))


def list_transactions(call: Call) -> Reply:
    """Deposits and withdrawals, the newest first."""
    _check_user(call)
    rows = sorted(_transactions(call.venue, call.now_ns), key=lambda row: -int(row["block_number"]))
    return page(call, "account", rows, lambda row: row)


def make_transfer(call: Call) -> Reply:
    """Send an amount to another wallet."""
    venue, to_wallet = call.venue, call.text("to_wallet_address")
    asset, amount = _money(call)
    if not _ADDRESS.fullmatch(to_wallet) or to_wallet.lower() == venue.credentials.wallet.lower():
        raise venue.refuse("invalid_request", "Invalid destination wallet address.")
    signature = _check_money(call, "TRANSFER", ("asset", "amount", "to_wallet_address", "timestamp"))
    transfer = _take_out(call, asset, amount, signature, to_wallet)
    return Reply(_transfer_row(venue, transfer, call.now_ns), 201)


def list_transfers(call: Call) -> Reply:
    """Transfers, the newest first."""
    found = [one for one in call.venue.transfers.values() if not one.is_withdrawal][::-1]
    return page(call, "account", found, lambda one: _transfer_row(call.venue, one, call.now_ns))


def read_transfer(call: Call) -> Reply:
    """One transfer by its id."""
    found = call.venue.transfers.get(call.arrival.params["id"])
    if found is None or found.is_withdrawal:
        raise call.venue.refuse("transfer_not_found")
    return Reply(_transfer_row(call.venue, found, call.now_ns))


def withdraw(call: Call) -> Reply:
    """Begin a withdrawal to the account's own wallet on a chain."""
    chain_id = call.number("chain_id")
    asset, amount = _money(call)
    if chain_id not in CHAINS:
        raise call.venue.refuse("invalid_request", "Invalid chain_id.")
    signature = _check_money(call, "WITHDRAW", ("asset", "amount", "chain_id", "timestamp"))
    made = _take_out(call, asset, amount, signature, call.venue.credentials.wallet, chain_id=chain_id)
    return Reply({"withdrawal_id": made.transfer_id}, 201)


def read_claim(call: Call) -> Reply:
    """The proof of a withdrawal, and what the claim on the chain needs; empty until it is ready."""
    venue, found = call.venue, call.venue.transfers.get(call.arrival.params["id"])
    if found is None or not found.is_withdrawal:
        raise venue.refuse("withdrawal_not_found")
    asset, is_ready = ASSETS[found.asset], call.now_ns - found.ns >= PROOF_NS
    index = sum(one.is_withdrawal and one.ns <= found.ns for one in venue.transfers.values())
    return Reply(
        {
            "proof_ready": is_ready,
            "amount": asset.base_units(found.amount, asset.counted),
            "amount_formatted": trimmed(found.amount, asset.counted),
            "local_exit_proof": _NOTHING if is_ready else "",
            "global_exit_proof": _NOTHING if is_ready else "",
            "global_claim_index": str(index) if is_ready else "",
            "token_address": _token(asset),
            "chain_id": found.chain_id,
            "network": CHAINS[found.chain_id],
            "destination_network_id": 0,
            "destination_address": found.to_wallet,
            "bridge_contract_address": BRIDGE,
        }
    )


def list_keys(call: Call) -> Reply:
    """The API keys, without their secrets."""
    names = list(call.venue.credentials.api_keys)
    return page(call, "account", names, lambda name: _key_row(call.venue, name))


def make_key(call: Call) -> Reply:
    """One more API key; its secret is shown this once."""
    keys, name, secret = call.venue.credentials.api_keys, secrets.token_hex(16), secrets.token_hex(32)
    keys[name] = secret
    row = _key_row(call.venue, name)
    return Reply({"api_key": name, "api_secret": secret, "user": row["user"], "status": row["status"]}, 201)


def delete_key(call: Call) -> Reply:
    """End an API key."""
    if call.venue.credentials.api_keys.pop(call.arrival.params["id"], None) is None:
        raise call.venue.refuse("key_not_found")
    return Reply({"message": "API key is deleted."})


def _money(call: Call) -> tuple[Asset, int]:
    """The asset and the amount of a body, as the exchange counts it. Raises `Refusal`."""
    asset = _asset(call, call.text("asset"))
    amount = parse_decimal(call.text("amount"), asset.counted)
    if not amount:
        raise call.venue.refuse("invalid_size", "Invalid amount.")
    return asset, amount


def _check_money(call: Call, action: str, names: tuple[str, ...]) -> str:
    """Let money out that the wallet has signed for, in B too (*assumption*); its signature. Raises `Refusal`."""
    signature, fields = call.text("signature"), {name: call.body.get(name) for name in names}
    call.venue.check_action(fields | {"action": action}, signature, call.now_ns, by_wallet=True)
    return signature


def _take_out(call: Call, asset: Asset, amount: int, signature: str, to_wallet: str, *, chain_id: int = 0) -> Transfer:
    venue, exchange = call.venue, call.venue.served.exchange
    refused = exchange.deposit(ACCOUNT, asset.symbol, -amount, now_ns=call.now_ns)
    if refused is not None:
        raise venue.refuse(refused.code)
    venue.served.publish_events()
    made = Transfer(
        exchange.state.new_id(), asset.symbol, amount, call.now_ns, signature, to_wallet, chain_id, chain_id != 0
    )
    venue.transfers[made.transfer_id] = made
    return made


def _transfer_row(venue: KalqixVenue, one: Transfer, now_ns: int) -> dict[str, Any]:
    asset = ASSETS[one.asset]
    return {
        "transfer_id": one.transfer_id,
        "from_wallet_address": venue.credentials.wallet,
        "to_wallet_address": one.to_wallet,
        "amount": asset.base_units(one.amount, asset.counted),
        "amount_formatted": trimmed(one.amount, asset.counted),
        "timestamp": venue.served.clock.seconds(one.ns),
        "asset_id": asset.asset_id,
        "asset": asset.symbol,
        "status": "PENDING" if now_ns - one.ns < TRANSFER_NS else "COMPLETED",
        "message": "Your transfer request is received.",
        "signature": one.signature,
    }


def _transactions(venue: KalqixVenue, now_ns: int) -> Iterator[dict[str, Any]]:
    """What came at the opening and since, and what was withdrawn."""
    for number, (symbol, amount) in enumerate(BALANCES.items(), 1):
        yield _transaction(venue, f"opening {symbol}", ASSETS[symbol], amount, number=number)
    flows = [one for one in venue.served.exchange.ledger.cash_flows if one.amount > 0 and one.kind == "transfer"]
    for number, flow in enumerate(flows, len(BALANCES) + 1):
        asset, age_ns = ASSETS[flow.currency], flow.ns - venue.opened_ns
        yield _transaction(venue, flow.flow_id, asset, flow.amount, number=number, block=age_ns // NS_PER_S + number)
    for one in venue.transfers.values():
        if one.is_withdrawal:
            block = (one.ns - venue.opened_ns) // NS_PER_S + len(BALANCES)
            status = "COMPLETED" if now_ns - one.ns >= PROOF_NS else "PENDING"
            row = _transaction(venue, one.transfer_id, ASSETS[one.asset], one.amount, number=0, block=block)
            yield row | {"type": "WITHDRAWAL", "status": status, "chain_id": one.chain_id}


def _transaction(
    venue: KalqixVenue, name: str, asset: Asset, amount: int, *, number: int, block: int = 0
) -> dict[str, Any]:
    wallet = venue.credentials.wallet
    return {
        "token": _token(asset),
        "destination_address": wallet,
        "amount": asset.base_units(amount, asset.counted),
        "deposit_count": number,
        "block_number": block or number,
        "transaction_hash": "0x" + 2 * stable_uuid("kalqix", name).replace("-", ""),
        "chain_id": 11155111,
        "status": "COMPLETED",
        "amount_formatted": trimmed(amount, asset.counted),
        "asset": asset.symbol,
        "asset_id": asset.asset_id,
        "chain_decimals": asset.decimals,
        "decimals": asset.decimals,
        "network": CHAINS[11155111],
        "network_id": 0,
        "position": str(number),
        "retries": 0,
        "scaling_factor": 1,
        "type": "DEPOSIT",
        "to": wallet,
        "from": wallet,
    }


def _position(venue: KalqixVenue, asset: Asset, now_ns: int) -> dict[str, Any]:
    reads = venue.served.reads
    free, locked = reads.balances(ACCOUNT, now_ns), reads.reserved(ACCOUNT, now_ns)
    return venue.rows.position(asset, free.get(asset.symbol, 0), locked.get(asset.symbol, 0))


def _totals(venue: KalqixVenue, now_ns: int) -> Mapping[Asset, int]:
    reads = venue.served.reads
    free, locked = reads.balances(ACCOUNT, now_ns), reads.reserved(ACCOUNT, now_ns)
    return {one: free.get(one.symbol, 0) + locked.get(one.symbol, 0) for one in ASSETS.values()}


def _asset(call: Call, symbol: str) -> Asset:
    if symbol not in ASSETS:
        raise call.venue.refuse("asset_not_found")
    return ASSETS[symbol]


def _check_user(call: Call) -> None:
    """The path names the account's own wallet, in letters of any size, the id of its profile, or "me"."""
    venue, name = call.venue, call.arrival.params["user"].lower()
    if name not in ("me", _user_id(venue), venue.credentials.wallet.lower()):
        raise call.venue.refuse("user_not_found")


def _user_id(venue: KalqixVenue) -> str:
    return stable_uuid("kalqix user", venue.credentials.wallet).replace("-", "")[:24]


def _key_row(venue: KalqixVenue, name: str) -> dict[str, str]:
    return {"api_key": name, "user": _user_id(venue), "status": "ACTIVE"}


def _token(asset: Asset) -> str:
    return "0x" + stable_uuid("kalqix token", asset.symbol).replace("-", "").rjust(40, "0")


ACCOUNT_ROUTES: tuple[Route[Call], ...] = (
    Route("GET", "/portfolios", read_portfolio),
    Route("GET", "/positions", list_positions),
    Route("GET", "/positions/{asset}", read_position),
    Route("GET", "/users/me", read_user),
    Route("GET", "/users/{user}/trades", list_own_trades),
    Route("GET", "/users/{user}/transaction-history", list_transactions),
    Route("PUT", "/transfers", make_transfer, scope="withdraw"),
    Route("GET", "/transfers", list_transfers),
    Route("GET", "/transfers/{id}", read_transfer),
    Route("POST", "/withdrawals", withdraw, scope="withdraw"),
    Route("GET", "/withdrawals/{id}/claim", read_claim),
    Route("GET", "/api-keys", list_keys),
    Route("PUT", "/api-keys", make_key, scope="keys"),
    Route("DELETE", "/api-keys/{id}", delete_key, scope="keys"),
)
