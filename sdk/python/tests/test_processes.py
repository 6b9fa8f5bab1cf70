"""Short scripts, ends and forks: each in a real process of its own."""

from pathlib import Path

import pytest
from places import SOURCES
from scripted_ingest import Answer, ScriptedIngest
from scripts import POSIX, run_script, traces


def test_a_short_script_loses_nothing(ingest: ScriptedIngest) -> None:
    ended = run_script("import assay; assay.score('relevance', 0.5, trace_id='t1')", ingest)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert traces(ingest) == {"t1": 1}


def test_a_script_that_fails_sends_what_it_had_scored(ingest: ScriptedIngest) -> None:
    ended = run_script("import assay; assay.score('relevance', 0.5, trace_id='t1'); 1 / 0", ingest)

    assert "ZeroDivisionError" in ended.stderr
    assert traces(ingest) == {"t1": 1}


def test_a_score_at_the_very_end_is_sent(ingest: ScriptedIngest) -> None:
    script = """
        import atexit, assay
        atexit.register(lambda: assay.score("relevance", 0.5, trace_id="last"))
        import threading
        threading.Thread(target=lambda: assay.score("relevance", 0.5, trace_id="thread")).start()
        """
    run_script(script, ingest)

    assert traces(ingest) == {"last": 1, "thread": 1}


def test_a_dead_server_does_not_hold_up_the_end(ingest: ScriptedIngest) -> None:
    script = """
        import assay
        assay.init(ingest_url="http://127.0.0.1:9", shutdown_seconds=0.2)
        assay.score("relevance", 0.5, trace_id="t1")
        """
    ended = run_script(script, ingest)

    assert ended.returncode == 0
    assert "1 score dropped: 1 × shut_down" in ended.stderr


def test_a_cell_of_a_notebook_can_be_run_again(ingest: ScriptedIngest) -> None:
    script = """
        import asyncio, code
        cell = (
            "import assay\\n"
            "assay.init(batch_size=10)\\n"
            "made.append(assay.client())\\n"
            "assay.score('relevance', 0.5, trace_id='t1')\\n"
            "assert assay.flush(10)\\n"
        )
        made = []
        async def notebook():  # cells run while an event loop does
            for _ in range(3):
                exec(cell, {"made": made})
        asyncio.run(notebook())
        assert len(set(map(id, made))) == 1
        """
    ended = run_script(script, ingest)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert traces(ingest) == {"t1": 3}


@POSIX
def test_parent_and_children_of_a_fork_each_send_their_own(ingest: ScriptedIngest) -> None:
    script = """
        import os, assay
        assay.init(batch_age_seconds=1000)
        assay.score("relevance", 0.5, trace_id="before")
        children = []
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                assert assay.client().counters().scored == 0
                assay.score("relevance", 0.5, trace_id=f"child {number}")
                assert assay.flush(10)
                os._exit(0)
            children.append(pid)
        assay.score("relevance", 0.5, trace_id="after")
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        """
    ended = run_script(script, ingest)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert traces(ingest) == {"before": 1, "after": 1, **{f"child {number}": 1 for number in range(4)}}


@POSIX
def test_a_fork_while_other_threads_score_does_not_lock_the_child(ingest: ScriptedIngest) -> None:
    script = """
        import os, threading, assay
        assay.init(batch_age_seconds=1000, queue_size=100)
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                assay.score("relevance", 0.5, trace_id="busy")
        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads: thread.start()
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                assay.score("relevance", 0.5, trace_id=f"child {number}")
                os._exit(0 if assay.flush(10) else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
        """
    ended = run_script(script, ingest)

    assert ended.returncode == 0, ended.stderr
    assert {f"child {number}" for number in range(20)} <= set(traces(ingest))


@POSIX
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_pool_send_what_they_have_when_they_end(
    ingest: ScriptedIngest, method: str, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text("import assay\ndef work(n): assay.score('relevance', 0.5, trace_id=f't{n}')\n")
    script = f"""
        import multiprocessing, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from work import work
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            processes = [context.Process(target=work, args=(n,)) for n in range(3)]
            for process in processes: process.start()
            for process in processes: process.join()
        """
    ended = run_script(script, ingest, PYTHONPATH=f"{SOURCES}:{tmp_path}")

    assert ended.returncode == 0, ended.stderr
    assert traces(ingest) == {"t0": 1, "t1": 1, "t2": 1}


@POSIX
def test_a_signal_handler_may_score(ingest: ScriptedIngest) -> None:
    script = """
        import os, signal, assay
        signal.signal(signal.SIGALRM, lambda *_: assay.score("relevance", 0.5, trace_id="signal"))
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        for _ in range(20_000):
            assay.score("relevance", 0.5, trace_id="main")
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert assay.flush(20)
        counted = assay.client().counters()
        assert counted.scored == counted.sent > 20_000, counted
        """
    ended = run_script(script, ingest)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_short_script_hears_of_what_broke_a_rule(ingest: ScriptedIngest) -> None:
    rejection = {"index": 0, "id": "s1", "code": "above_maximum", "detail": "1.5 is above 1.0"}
    done = Answer(200, body={"status": "done", "rejections": [rejection]})
    ingest.script = lambda request: done if request.path.startswith("/v1/batches/") else Answer()

    ended = run_script("import assay; assay.score('relevance', 1.5, trace_id='t1')", ingest, ASSAY_API_URL=ingest.url)

    assert "1 score taken in and rejected later: 1 × above_maximum: 1.5 is above 1.0" in ended.stderr
