"""The same seed gives the same session, whatever process runs it.

Run as a program with a seed it prints the digest of a session, so that processes with different hash seeds can be
compared.
"""

import hashlib
import json
import os
import random
import subprocess
import sys

import msgspec

from connectors.kalshi.sandbox.listings import RULES, Schedule, generate
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.flow import OrderFlow
from connectors.sandbox.engine.model import OrderRequest, Trigger
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.seeding import seeded
from tests.connectors.sandbox.engine.coins import USDT, perpetual_spec, spot_spec

START_NS = 1_795_219_200 * 1_000_000_000
SLOW_CANCELS = Rules(cancel_min_ns=10_000_000, cancel_max_ns=300_000_000)


def digest(seed: int, *, steps: int = 400) -> str:
    """SHA-256 over every event and the final report of a session with flow, a client and settling markets."""
    exchange = Exchange(seeded(seed, "exchange"), now_ns=START_NS, rules=RULES)
    schedule = Schedule(close_after_s=12, stagger_s=2, determine_after_s=1, settle_after_s=1)
    listings = generate(seeded(seed, "markets"), now_ns=START_NS, count=3, schedule=schedule)
    for market in listings.markets:
        exchange.add_market(market.spec, START_NS)
    exchange.add_account("client", {"USD": 10**10})
    flow = OrderFlow(exchange, seed=seed)
    rng = random.Random(seed)
    seen = hashlib.sha256()
    for step in range(steps):
        now_ns = START_NS + step * 50_000_000
        flow.step(now_ns)
        exchange.advance(now_ns)
        market_id = rng.choice(listings.markets).spec.market_id
        exchange.submit(
            OrderRequest(
                account="client",
                market_id=market_id,
                side=rng.choice(("bid", "ask")),
                price=100 * rng.randint(20, 80),
                size=rng.randint(1, 2_000),
                self_trade="maker",
                client_order_id=f"c{step}",
            ),
            now_ns,
        )
        if step % 40 == 0:
            exchange.cancel_all("client", now_ns)
        seen.update(msgspec.json.encode(exchange.drain()))
    seen.update(json.dumps(audit_report.report(exchange)).encode())
    return seen.hexdigest()


def coin_digest(seed: int, *, steps: int = 400) -> str:
    """SHA-256 over every event and the final report of a session on a spot market and a perpetual."""
    exchange = Exchange(seeded(seed, "exchange"), now_ns=START_NS, rules=SLOW_CANCELS)
    for spec in (spot_spec(), perpetual_spec()):
        exchange.add_market(spec, START_NS)
    exchange.add_account("client", {"USDT": 100_000 * USDT, "BTC": 1_000})
    flow = OrderFlow(exchange, seed=seed, opening_prices={"S": 630_000, "P": 630_000})
    rng = random.Random(seed)
    seen = hashlib.sha256()
    for step in range(steps):
        now_ns = START_NS + step * 50_000_000
        flow.step(now_ns)
        exchange.advance(now_ns)
        trigger = Trigger("stop", 630_000 + rng.randint(-3_000, 3_000)) if step % 7 == 0 else None
        exchange.submit(
            OrderRequest(
                account="client",
                market_id=rng.choice("SP"),
                side=rng.choice(("bid", "ask")),
                price=630_000 + rng.randint(-3_000, 3_000),
                size=rng.randint(1, 50),
                trigger=trigger,
            ),
            now_ns,
        )
        if step % 40 == 0:
            exchange.cancel_all("client", now_ns)
            exchange.fund("P", now_ns=now_ns)
        seen.update(msgspec.json.encode(exchange.drain()))
    seen.update(json.dumps(audit_report.report(exchange)).encode())
    assert audit_report.problems(exchange) == []
    return seen.hexdigest()


def in_a_process(seed: int, hash_seed: str) -> str:
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
    command = [sys.executable, "-m", "tests.connectors.sandbox.engine.test_determinism", str(seed)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_session_when_run_in_processes_with_different_hash_seeds_then_the_digests_are_equal() -> None:
    here = f"{digest(3)} {coin_digest(3)}"
    assert in_a_process(3, "1") == here
    assert in_a_process(3, "2") == here


def test_session_when_the_seed_differs_then_the_digest_does_too() -> None:
    assert digest(3, steps=40) != digest(4, steps=40)
    assert coin_digest(3, steps=40) != coin_digest(4, steps=40)


if __name__ == "__main__":
    print(digest(int(sys.argv[1])), coin_digest(int(sys.argv[1])))
