"""The health check under the name that container files use; it lives in `framework.ops.healthcheck`."""
