"""A scripted session of the whole engine under one seed; prints a digest of everything it emitted.

Run as a program with the seed as argument, so that processes with different hash seeds can be compared.
"""

import hashlib
import json
import random
import sys

import msgspec

from connectors.kalshi.sandbox.listings import RULES, Schedule, generate
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.flow import OrderFlow
from connectors.sandbox.engine.model import OrderRequest
from connectors.sandbox.seeding import seeded

START_NS = 1_795_219_200 * 1_000_000_000


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


if __name__ == "__main__":
    print(digest(int(sys.argv[1])))
