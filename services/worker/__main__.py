"""Run the worker: `python -m services.worker`."""

import asyncio
import os
import sys

import structlog
import uvloop

from services.worker.app import open_worker
from services.worker.settings import Settings
from shared.http.server import serve, stop_on_signals, unless_stopped
from shared.logs import configure_logs
from shared.settings import SettingsError, read_settings

ROLES = {"persist", "jobs"}


async def run(settings: Settings) -> None:
    stop = stop_on_signals()
    async with open_worker(settings, stop) as worker:
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
    uvloop.run(run(settings))


if __name__ == "__main__":
    main()
