"""Run the api: `python -m services.api`."""

import os
import sys
from typing import TYPE_CHECKING

import structlog
import uvloop

from services.api.app import open_app
from services.api.settings import Settings
from shared.garbage import short_pauses
from shared.http.server import serve, stop_on_signals
from shared.logs import configure_logs
from shared.settings import SettingsError, read_settings
from shared.tracing import open_tracer

if TYPE_CHECKING:
    from shared.spans import Tracer


async def run(settings: Settings, tracer: "Tracer | None") -> None:
    stop = stop_on_signals()
    async with open_app(settings, tracer) as app, short_pauses():
        structlog.get_logger().info("api_started", host=settings.host, port=settings.api_port)
        await serve(app, settings.host, settings.api_port, stop, pause_seconds=settings.stop_pause_seconds)
    structlog.get_logger().info("api_stopped")


def main() -> None:
    try:
        settings = read_settings(Settings, os.environ)
    except SettingsError as error:
        sys.exit(f"api can't start: {error}")
    configure_logs("api", settings.log_format, settings.log_level)
    with open_tracer("api", os.environ) as tracer:
        uvloop.run(run(settings, tracer))


if __name__ == "__main__":
    main()
