"""The cases, by what they are about. Importing this package declares all of them."""

from framework.testing.conformance.cases import market_data, orders

__all__ = ["market_data", "orders"]
