"""The earlier name of `framework.domain.rate_limits`, for strategies and checks written before it was renamed."""

from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind

__all__ = ["Cost", "Pool", "RateLimits", "RequestKind"]
