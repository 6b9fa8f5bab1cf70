"""Whether this process exports spans, decided once at start by OpenTelemetry's own environment variables.

Not configured, it imports nothing of OpenTelemetry and costs a request an `if`. Whatever is wrong with tracing is a
line in the log: never a service that does not start, nor a request that waits.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from shared.spans import Tracer

FLUSH_SECONDS = 3.0

log = structlog.get_logger()


@contextmanager
def open_tracer(service: str, environment: Mapping[str, str]) -> Iterator["Tracer | None"]:
    """None where tracing is off. At the end of the block the spans that are left are sent, for `FLUSH_SECONDS` at most.

    The exporter's own settings are read from the process's environment, whatever is given here.
    """
    tracer = _started(service) if is_configured(environment) else None
    try:
        yield tracer
    finally:
        if tracer is not None and not tracer.close(FLUSH_SECONDS):
            log.warning("spans_left_behind")


def is_configured(environment: Mapping[str, str]) -> bool:
    """An exporter or a protocol that Assay does not have is told, and off."""
    has_endpoint = bool(_first(environment, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"))
    if not has_endpoint or _first(environment, "OTEL_SDK_DISABLED").lower() == "true":
        return False
    exporter = _first(environment, "OTEL_TRACES_EXPORTER") or "otlp"
    protocol = _first(environment, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if exporter not in ("otlp", "none") or protocol not in ("", "http/protobuf"):
        log.warning("tracing_not_started", exporter=exporter, protocol=protocol, wanted="otlp, http/protobuf")
        return False
    return exporter == "otlp"


def _first(environment: Mapping[str, str], *variables: str) -> str:
    return next((text for name in variables if (text := environment.get(name, "").strip())), "")


def _started(service: str) -> "Tracer | None":
    try:
        from shared.spans import Tracer  # here, so that who does not use it does not pay for it

        return Tracer(service)
    except Exception as error:  # noqa: BLE001 - a variable that makes no sense, a library that is not installed
        log.warning("tracing_not_started", reason=f"{type(error).__name__}: {error}"[:200])
        return None
