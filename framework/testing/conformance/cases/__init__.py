"""The cases, by what they are about. Importing this package declares all of them."""

from framework.testing.conformance.cases import (
    account,
    ambiguity,
    bad_input,
    encryption,
    hands,
    limits_and_access,
    market_data,
    order_kinds,
    orders,
    refusals,
    restarts,
)

__all__ = [
    "account",
    "ambiguity",
    "bad_input",
    "encryption",
    "hands",
    "limits_and_access",
    "market_data",
    "order_kinds",
    "orders",
    "refusals",
    "restarts",
]
