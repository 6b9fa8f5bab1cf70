"""Run the worker: `python -m services.worker`."""

import asyncio
import gc
import os
import sys
from typing import TYPE_CHECKING

import structlog
import uvloop

from services.worker.app import open_worker
from services.worker.settings import Settings
from shared.http.server import serve, stop_on_signals, unless_stopped
from shared.logs import configure_logs
from shared.settings import SettingsError, read_settings
from shared.tracing import open_tracer

if TYPE_CHECKING:
    from shared.spans import Tracer

ROLES = {"persist", "jobs"}

# A score in hand is four objects, and none of them is in a circle: they go with their last reference. To look for
# circles among them after every 700 new ones, as Python does by itself, took a fifth of the worker's CPU time. This is
# more than two lanes have in hand.
OBJECTS_BEFORE_COLLECTION = 100_000


async def run(settings: Settings, tracer: "Tracer | None") -> None:
    stop = stop_on_signals()
    async with open_worker(settings, stop, tracer) as worker:
        page_stop = asyncio.Event()
        page = asyncio.create_task(serve(worker.page, settings.host, settings.worker_port, page_stop))
        try:
            if await unless_stopped(worker.wait_for_parts(), stop):
                structlog.get_logger().info("worker_started", roles=settings.worker_roles, port=settings.worker_port)
                await worker.run()
        finally:
            page_stop.set()
            await page
    structlog.get_logger().info("worker_stopped")


def read_worker_settings() -> Settings:
    """Raises `SettingsError`."""
    settings = read_settings(Settings, os.environ)
    unknown = {role.strip() for role in settings.worker_roles.split(",")} - ROLES
    if unknown:
        raise SettingsError(f"ASSAY_WORKER_ROLES: {', '.join(sorted(unknown))} is none of persist, jobs")
    return settings


def main() -> None:
    try:
        settings = read_worker_settings()
    except SettingsError as error:
        sys.exit(f"worker can't start: {error}")
    configure_logs("worker", settings.log_format, settings.log_level)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    with open_tracer("worker", os.environ) as tracer:
        uvloop.run(run(settings, tracer))


if __name__ == "__main__":
    main()
