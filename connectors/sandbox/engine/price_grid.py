"""The valid prices of a market: a tick grid whose step may change from one price band to the next.

Prices are integers of 10^-price_decimals. Bands may touch: a price that ends one band and starts the next is in both.
"""

from connectors.sandbox.engine.model import MarketSpec, Side


def on_grid(spec: MarketSpec, price: int) -> bool:
    """Whether a price is valid: on a band's step, and strictly inside (0, 1) for a binary market."""
    if price <= 0 or (spec.kind == "binary" and price >= spec.one):
        return False
    return any(band.start <= price <= band.end and (price - band.start) % band.step == 0 for band in spec.bands)


def at_or_below(spec: MarketSpec, price: int) -> int | None:
    """The highest valid price not above `price`; None when there is none."""
    ceiling = min(price, spec.one - 1) if spec.kind == "binary" else price
    found = [
        band.start + (min(ceiling, band.end) - band.start) // band.step * band.step
        for band in spec.bands
        if band.start <= ceiling
    ]
    best = max(found, default=0)
    return best if best > 0 else None


def above(spec: MarketSpec, price: int) -> int | None:
    """The lowest valid price above `price`; None when there is none."""
    found = [
        max(band.start, band.start + ((price - band.start) // band.step + 1) * band.step)
        for band in spec.bands
        if price < band.end
    ]
    return min((candidate for candidate in found if on_grid(spec, candidate)), default=None)


def stepped(spec: MarketSpec, price: int, *, steps: int) -> int | None:
    """The valid price `steps` grid steps up (down when negative) from a valid price; None past either end."""
    found: int | None = price
    for _ in range(abs(steps)):
        if found is None:
            return None
        found = above(spec, found) if steps > 0 else at_or_below(spec, found - 1)
    return found


def worst_price(spec: MarketSpec, side: Side) -> int:
    """The highest valid price for a bid, the lowest for an ask: the limit of an order without a price; 0 if none."""
    top = max(band.end for band in spec.bands)
    return (at_or_below(spec, top) if side == "bid" else above(spec, 0)) or 0
