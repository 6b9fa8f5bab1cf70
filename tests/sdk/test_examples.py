"""The examples of the SDK, run as they stand, and what they leave behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sdk.conftest import SDK, House
from tests.sdk.running import environment_of, run_python
from tests.system.processes import free_port
from tests.waiting import wait_until

EXAMPLES = SDK / "examples"


async def stored(house: House, count: int) -> list[Any]:
    """All scores, once there are so many."""
    with house.client() as client:
        await wait_until(lambda: sum(item["count"] for item in client.aggregate()) >= count)
        return client.scores().to_list()


async def test_the_script(house: House, tmp_path: Path) -> None:
    said = run_python(house, tmp_path, str(EXAMPLES / "script.py"))

    found = await stored(house, 2)
    assert {(score["name"], score["value"]) for score in found} == {("relevance", 0.92), ("language", "english")}
    assert {f"trace {score['trace_id']}\n" for score in found} == {said}


async def test_the_rag_evaluation_replaces_when_run_again(house: House, tmp_path: Path) -> None:
    for run in ("a", "b", "a"):
        run_python(house, tmp_path, str(EXAMPLES / "rag_evaluation.py"), run)

    found = await stored(house, 32)
    assert len(found) == 32
    with house.client() as client:
        verdicts = client.aggregate(name="verdict", group_by="metadata.run")
    assert {str(item["group"]): item["distribution"] for item in verdicts} == {
        str({"metadata.run": run}): {"correct": 3, "wrong": 1} for run in ("a", "b")
    }


async def test_the_llm_judge(house: House, tmp_path: Path) -> None:
    run_python(house, tmp_path, str(EXAMPLES / "llm_judge.py"))

    found = await stored(house, 6)
    ratings = [score for score in found if score["name"] == "relevance_rating"]
    assert sorted(score["value"] for score in ratings) == [1, 5, 5]
    assert {(score["source"], score["author"]) for score in ratings} == {("LLM_JUDGE", "stand-in-1")}


async def test_the_pytest_evaluation(house: House, tmp_path: Path) -> None:
    folder = EXAMPLES / "pytest_evaluation"
    run_python(
        house,
        tmp_path,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        str(folder),
    )

    await stored(house, 6)
    with house.client() as client:
        found = {item["name"]: item for item in client.aggregate()}
    assert found["test_passed"]["true_count"] == 2
    assert found["relevance"]["count"] == found["test_seconds"]["count"] == 2


async def test_celery_scores_in_the_trace_of_the_request(house: House, tmp_path: Path) -> None:
    said = run_python(house, tmp_path, str(EXAMPLES / "celery_worker.py"))

    found = {score["name"]: score for score in await stored(house, 2)}
    assert found["brevity"]["trace_id"] == found["answered"]["trace_id"]
    assert f"score {found['brevity']['id']} of trace {found['brevity']['trace_id']}" in said


async def test_celery_workers_that_were_forked_send_what_they_have(house: House, tmp_path: Path) -> None:
    environment = {"CELERY_FOLDER": str(tmp_path / "broker")}
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "celery", "-A", "celery_worker", "worker", "--concurrency", "2", "--loglevel", "ERROR"),
        cwd=EXAMPLES,
        env={**environment_of(house, tmp_path), **environment, "PYTHONPATH": f"{SDK / 'src'}:{EXAMPLES}"},
    )
    try:
        for _ in range(3):
            run_python(house, tmp_path, str(EXAMPLES / "celery_worker.py"), more=environment)
    finally:
        worker.terminate()
        await asyncio.wait_for(worker.wait(), 60)

    found = await stored(house, 6)
    scored_by = {score["metadata"]["process"] for score in found if score["name"] == "brevity"}
    assert len(found) == 6
    assert worker.pid not in scored_by


async def test_fastapi_with_feedback(house: House, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "fastapi_feedback:app", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(command, cwd=EXAMPLES, env=environment_of(house, tmp_path))  # noqa: ASYNC220
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as user:
            await wait_until(lambda: _answers(user))
            reply = (await user.post("/chat", json={"text": "What is an assay?", "conversation_id": "c1"})).json()
            for up in (True, False):  # changes their mind
                thumb = {"trace_id": reply["trace_id"], "up": up, "comment": "hm", "user": "kim"}
                assert (await user.post("/feedback", json=thumb)).status_code == 204
    finally:
        server.terminate()
        server.wait(30)

    await stored(house, 3)
    with house.client() as client:
        found = {score["name"]: score["value"] for score in client.trace_scores(reply["trace_id"])}
    assert found == {"answer_characters": len(reply["text"]), "answered": True, "thumbs": False}


async def _answers(user: httpx.AsyncClient) -> bool:
    try:
        return (await user.get("/docs")).status_code == 200
    except httpx.TransportError:
        return False
