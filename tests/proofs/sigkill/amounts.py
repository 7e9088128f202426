"""What is known of each order at rest where a venue does not list every fill: sizes, and bounds of cost and fee."""

from __future__ import annotations

from tests.proofs.sigkill.truth import NOTHING, Shown, Truth


def amounts_off(truth: Truth, shown: Shown) -> list[str]:
    """Orders whose amounts are not what the framework promises of inferred fills: what the venue states as filled is
    so to the last lot, and neither cost nor fee is better for us than it was; the cost is no worse than the limit."""
    found = [
        f"{name}: {shown.amounts.get(name, NOTHING).size} filled, not {size}"
        for name, size in truth.filled.items()
        if shown.amounts.get(name, NOTHING).size != size
    ]
    for name in sorted(set(truth.amounts) & set(shown.amounts)):
        real, booked = truth.amounts[name], shown.amounts[name]
        if real.size != booked.size:
            continue
        limit = truth.limits[name] * real.size
        best, worst = (real.cost, max(limit, real.cost)) if real.side == "buy" else (min(limit, real.cost), real.cost)
        if not best <= booked.cost <= worst or booked.fee < real.fee:
            found.append(f"{name}: {booked}, really {real}, limit {truth.limits[name]}")
    return found


def ascribed_elsewhere(truth: Truth, shown: Shown) -> int:
    """Orders that have another size filled than really: where the position alone shows what rests and trades, it says
    how much, and not always of which order."""
    names = {*truth.amounts, *shown.amounts}
    return sum(truth.amounts.get(name, NOTHING).size != shown.amounts.get(name, NOTHING).size for name in names)
