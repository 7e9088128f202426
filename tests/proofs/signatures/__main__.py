"""What KalqiX's client signs, checked by other hands' libraries: ethers for wallets, @noble/curves for agents.

    python -m tests.proofs.signatures [--requests 200] [--seed 1]

Makes requests of every kind in both dialects as the client sends them, and gives them to `verify.mjs`, which builds the
signed texts anew. Prints one JSON object and exits 1 unless all are right and a changed one is found out. It needs Node
and npm, which installs those libraries, locked with hashes, into a folder that is gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from connectors.client.request_clock import RequestClock
from connectors.client.venue_time import VenueTime
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey
from connectors.client.wire.wallet_sign import WalletKey
from connectors.kalqix.dialect import A, B, Dialect
from connectors.kalqix.sign import TRADING, agent_signer, signing, wallet_signer
from framework.runtime.clock import SystemClock

FILES = ("package.json", "package-lock.json", ".npmrc", "verify.mjs")


def calls(dialect: Dialect, rng: random.Random) -> Iterator[Call]:
    """Requests of every kind, without end."""
    agent = {"agent_index": rng.randrange(6, 256)} if dialect.has_agents else {}
    while True:
        named = {"client_order_id": f"x-{rng.randrange(10**6)}"} if dialect.has_agents else {"quote_quantity": ""}
        order = {
            "action": "PLACE_ORDER",
            "ticker": f"BTC{dialect.slash}USDC",
            "side": rng.choice(("BUY", "SELL")),
            "order_type": "LIMIT",
            "quantity": str(rng.randrange(1, 10**9)),
            "price": str(rng.randrange(1, 10**9)),
            "time_in_force": rng.randrange(3),
            "expires_at": rng.choice((0, rng.randrange(2**40))),
        }
        yield Call("POST", "/v1/orders", msgspec.json.encode(order | named | agent))
        order_id = f"{rng.getrandbits(128):032x}"
        cancel = {"action": "CANCEL_ORDER", "order_id": order_id, **agent}
        yield Call("DELETE", f"/v1/orders/{order_id}", msgspec.json.encode(cancel))
        cancel_all = {"action": "CANCEL_ALL_ORDERS", "market": rng.randrange(1, 99), **agent}
        yield Call("DELETE", "/v1/users/me/cancel-all-orders", msgspec.json.encode(cancel_all))
        yield Call("GET", f"/v1/orders?open=true&page={rng.randrange(9)}&ticker=BTC_USDC")
        if not dialect.has_agents:
            money = {"asset": "USDC", "amount": f"{rng.randrange(1, 999)}.5"}
            out = {"action": "TRANSFER", "to_wallet_address": f"0x{rng.getrandbits(160):040x}"}
            yield Call("PUT", "/v1/transfers", msgspec.json.encode(money | out))
            yield Call("POST", "/v1/withdrawals", msgspec.json.encode(money | {"action": "WITHDRAW", "chain_id": 1}))


def captured(dialect: Dialect, rng: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """So many requests as they leave, with what checks them."""
    key = WalletKey(rng.randbytes(32), (*TRADING, "TRANSFER", "WITHDRAW"))
    secret = f"{rng.getrandbits(256):064x}"
    sign_action = agent_signer(key) if dialect.has_agents else wallet_signer(key)
    stamps = RequestClock(VenueTime(SystemClock()))
    sign = signing(dialect, "key", HmacKey(secret.encode()), sign_action, stamps, prefix="/v1")
    for call, _ in zip(calls(dialect, rng), range(count), strict=False):
        request = sign(call)
        yield {
            "dialect": dialect.name,
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": request.body.decode(),
            "secret": secret,
            "address": key.address,
            "public_key": key.public_key,
            "is_action": bool(call.body),
        }


def install(folder: Path) -> None:
    """Put the script and what it needs into a folder. Raises `CalledProcessError` when npm can't."""
    for name in FILES:
        shutil.copy(Path(__file__).parent / name, folder / name)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True, stdout=sys.stderr
    )


def verify(requests: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What the other libraries say of them. Raises `RuntimeError` when they say nothing."""
    lines = "\n".join(map(json.dumps, requests))
    done = subprocess.run(["node", "verify.mjs"], cwd=folder, input=lines, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"node said nothing: {done.stderr[-400:]}")
    return dict(json.loads(done.stdout))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="requests of each dialect")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder)
        for dialect in (A, B):
            requests = list(captured(dialect, rng, options.requests))
            first = next(one for one in requests if one["method"] == "POST")
            changed = first | {"body": first["body"].replace('"side":"', '"side":"x')}
            is_found = len(verify([changed], folder)["wrong"]) == 2
            figures[dialect.name] = verify(requests, folder) | {"changed_found": is_found}
    print(json.dumps(figures, indent=1))
    return 0 if all(not one["wrong"] and one["changed_found"] for one in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
