# syntax=docker/dockerfile:1
# Two stages: the first installs the locked dependencies into a virtual environment, the second carries only that.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/tidegate
WORKDIR /src
COPY requirements.lock ./
RUN /opt/tidegate/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY framework framework
COPY strategies strategies
COPY connectors connectors
COPY risk risk
RUN /opt/tidegate/bin/pip install --no-deps --no-build-isolation . \
    && /opt/tidegate/bin/pip uninstall --yes setuptools pip \
    && find /opt/tidegate -name '__pycache__' -prune -exec rm -rf {} + \
    && /opt/tidegate/bin/python -m compileall -q /opt/tidegate/lib

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="tidegate" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 tidegate \
    && useradd --uid 10001 --gid tidegate --no-create-home --shell /usr/sbin/nologin tidegate \
    && install --directory --mode 0700 --owner tidegate --group tidegate /state
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIDEGATE_STATE_DIR=/state \
    TIDEGATE_HTTP__HOST=0.0.0.0
USER 10001:10001
WORKDIR /state
# The only place that is written to; the root file system may be read-only.
VOLUME ["/state"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-m", "framework.ops.healthcheck"]
ENTRYPOINT ["tidegate", "run"]
