"""An operator has a schedule run now: what it finds is told by every worker."""

import asyncio
import sys

from tests.builders import a_score
from tests.monitoring.pages import a_worker, samples, value
from tests.stack import Stack
from tests.system.processes import ROOT
from tests.waiting import wait_until


async def run_now(redis_url: str, name: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.worker.run_now", name,
        cwd=ROOT, env={"REDIS_URL": redis_url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_rollups_that_differ_are_told_until_they_are_right_again(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    await stack.store(a_score())

    async def differences_are(count: int) -> None:
        assert await run_now(stack.redis_url, "verify_recent_rollups") == (0, "asked for verify_recent_rollups\n")

        async def told() -> bool:
            found = value(await samples(page), "assay_worker_rollup_differences", schedule="verify_recent_rollups")
            return found == count

        await wait_until(told, what=f"{count} differences")

    async with a_worker(stack) as page:
        await differences_are(0)
        await stack.fetch("UPDATE score_rollups SET count = count + 1 RETURNING 1")
        await differences_are(3)  # a quarter, its hour and its day
        await stack.fetch("UPDATE score_rollups SET count = count - 1 RETURNING 1")
        await differences_are(0)


async def test_what_is_no_schedule_is_refused(redis_url: str) -> None:
    code, said = await run_now(redis_url, "verify_everything")

    assert code == 1
    assert "verify_all_rollups" in said


async def test_a_redis_that_is_away_is_told() -> None:
    assert await run_now("redis://127.0.0.1:1", "housekeeping") == (1, "Redis can't be reached: ConnectionError\n")
