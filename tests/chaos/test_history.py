"""Any history of sends, resends, replacements, deletes, replays, changed rules and deaths of the worker reads like the
plain model.

Each rule is one step of one party. To add one: a rule here that calls the api, and the method of `Model` that says what
it means. What a job does is a step of the worker: other steps can come between the asking and the doing.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.chaos.aggregates import aggregates_of, differences_of_aggregates, same
from tests.chaos.history_lab import Died, HandWorker, Lab, open_lab
from tests.chaos.history_model import Model, Sent, comparable

EXAMPLES, STEPS = 50, 30
TRACES = ("t1", "t2")
NAMES = ("relevance", "safety", "thumbs", "latency")
INSTANTS = ("2025-03-01T10:00:00Z", "2025-03-01T10:20:00Z", "2025-03-03T23:59:59.999999Z")
WINDOW = {"from": "2025-03-01T00:00:00Z", "to": "2025-03-05T00:00:00Z"}

T = TypeVar("T")

judgements = st.one_of(
    st.tuples(st.just("relevance"), st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.5, 3.0])),
    st.tuples(st.just("safety"), st.sampled_from(["safe", "unsafe", "perhaps"])),
    st.tuples(st.just("thumbs"), st.booleans()),
    st.tuples(st.just("latency"), st.sampled_from([-1e300, 0.3, 5e-324, 12])),
)
ids = st.sampled_from([f"s{number}" for number in range(6)])
workers = st.sampled_from([0, 1])


@st.composite
def a_written_score(draw: st.DrawFn) -> dict[str, Any]:
    name, value = draw(judgements)
    score = {"id": draw(ids), "name": name, "value": value, "trace_id": draw(st.sampled_from(TRACES))}
    return score | {"timestamp": draw(st.sampled_from(INSTANTS))}


class History(RuleBasedStateMachine):
    lab: ClassVar[Lab]
    runner: ClassVar[asyncio.Runner]

    @initialize()
    def begin(self) -> None:
        self.project, self.config_id = self._run(self.lab.begin())
        self.model = Model()
        self.sent: dict[str, Sent] = {}
        self.deletes: list[tuple[str, str, int]] = []  # asked for and not yet run: job, name, order
        self.deaths = 0
        self.workers = [HandWorker(self.lab, "w0"), HandWorker(self.lab, "w1")]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # what senders do

    @rule(scores=st.lists(a_written_score(), min_size=1, max_size=4))
    def send(self, scores: list[dict[str, Any]]) -> None:
        self._send([{**score, "comment": f"{len(self.sent)}.{at}"} for at, score in enumerate(scores)])

    @rule(data=st.data())
    @precondition(lambda self: self.sent)
    def send_again(self, data: st.DataObject) -> None:
        before = data.draw(st.sampled_from(sorted(self.sent.values(), key=lambda sent: sent.order)))
        self._send(before.scores)

    @rule(among=st.integers(0, 3))
    def send_one_that_postgres_refuses(self, among: int) -> None:
        poison = {"id": f"p{len(self.sent)}", "metadata": {"poison": True}}
        shared = {"name": "thumbs", "value": True, "trace_id": "t1", "timestamp": INSTANTS[0]}
        scores = [{**shared, "id": f"g{len(self.sent)}-{number}", "comment": "good"} for number in range(3)]
        self._send([*scores[:among], {**shared, **poison, "comment": "poison"}, *scores[among:]])

    def _send(self, scores: list[dict[str, Any]]) -> None:
        answer = self._run(self.lab.send(self.project, scores))
        batch_id = answer["batch_id"]
        self.sent[batch_id] = Sent(len(self.sent), batch_id, answer["ids"], scores)

    # what managers do

    @rule(maximum=st.sampled_from([1.0, 2.0, 4.0]))
    def change_the_rule(self, maximum: float) -> None:
        path = f"/v1/score-configs/{self.config_id}"
        self._run(self.lab.call(self.project, "PATCH", path, {"max_value": maximum}))
        self.model.maximum = maximum

    @rule(score_id=ids)
    def delete_one(self, score_id: str) -> None:
        was_there = self._run(self.lab.delete(self.project, score_id))
        assert was_there == self.model.delete(score_id, len(self.sent))

    @rule(name=st.sampled_from(NAMES))
    def ask_for_a_delete_by_name(self, name: str) -> None:
        job = self._run(self.lab.call(self.project, "POST", "/v1/scores/delete", {"filter": {"name": [name]}}))
        self.deletes.append((job["id"], name, len(self.sent)))

    @rule(name=st.sampled_from(NAMES))
    def replay_by_name(self, name: str) -> None:
        job = self._run(self.lab.call(self.project, "POST", "/v1/rejected-scores/replay", {"filter": {"name": [name]}}))
        self._run(self.lab.run_job(job["id"]))
        self.model.replay(name, self.sent)

    # what workers do, step by step

    @rule()
    @precondition(lambda self: self.deletes)
    def run_a_delete(self) -> None:
        job_id, name, order = self.deletes.pop(0)
        self._run(self.lab.run_job(job_id))
        self.model.delete_by_name(name, order)

    @rule(number=workers)
    def read(self, number: int) -> None:
        self._run(self.workers[number].read())

    @rule(number=workers)
    def take_over(self, number: int) -> None:
        self._run(self.workers[number].take_over())

    @rule(number=workers)
    def persist(self, number: int) -> None:
        done = self._run(self.workers[number].persist())
        self.model.persist(self.sent[batch_id] for batch_id in done)

    @rule(number=workers)
    def acknowledge(self, number: int) -> None:
        self._run(self.workers[number].acknowledge())

    @rule(number=workers, statements=st.integers(0, 12))
    def persist_and_die_on_the_way(self, number: int, statements: int) -> None:
        """Where it has fewer statements than that, it dies after the commit instead."""
        try:
            done = self._run(self.workers[number].persist(statements))
        except Died:
            done = []
        self.model.persist(self.sent[batch_id] for batch_id in done)
        self.die(number)

    @rule(number=workers)
    def die(self, number: int) -> None:
        self.deaths += 1
        self.workers[number] = HandWorker(self.lab, f"w{number}-{self.deaths}")

    # what readers see

    @rule()
    def look(self) -> None:
        self._run(self._compare())

    def teardown(self) -> None:
        if hasattr(self, "workers"):
            self._run(self._finish())

    async def _finish(self) -> None:
        """One worker takes over everything; then all that was acknowledged is accounted for."""
        for worker in self.workers:
            worker.unsaved, worker.saved = [], []
        last = HandWorker(self.lab, "last")
        while len(self.model.receipts) < len(self.sent):
            await last.take_over()
            await last.read()
            done = await last.persist()
            assert done, "an acknowledged batch is neither persisted nor in the queue"
            self.model.persist(self.sent[batch_id] for batch_id in done)
            await last.acknowledge()
        for job_id, name, order in self.deletes:
            await self.lab.run_job(job_id)
            self.model.delete_by_name(name, order)
        await self._compare()

    async def _compare(self) -> None:
        rows = self.model.rows()
        await self._compare_lists(rows)
        await self._compare_statistics(rows)
        await self._compare_outcomes()

    async def _compare_lists(self, rows: list[dict[str, Any]]) -> None:
        listed = (await self._get("/v1/scores", limit=1000))["items"]
        assert [_row(item) for item in listed] == sorted(rows, key=_place, reverse=True)
        for trace_id in TRACES:
            of_trace = (await self._get(f"/v1/traces/{trace_id}/scores"))["items"]
            assert [_row(item) for item in of_trace] == [_row(one) for one in listed if one["trace_id"] == trace_id]

    async def _compare_statistics(self, rows: list[dict[str, Any]]) -> None:
        answered = (await self._get("/v1/scores/aggregate"))["items"]
        assert list(differences_of_aggregates(rows, answered)) == []
        trend = (await self._get("/v1/scores/trends", name=NAMES, granularity="day", **WINDOW))["items"]
        true = {
            (name, data_type, day): statistics
            for day in ("2025-03-01", "2025-03-03")
            for (name, data_type), statistics in aggregates_of(
                r for r in rows if r["scored_at"].startswith(day)
            ).items()
        }
        found = {
            (one["name"], one["data_type"], b["start"][:10]): b for one in trend for b in one["buckets"] if b["count"]
        }
        assert found.keys() == true.keys()
        for key, statistics in true.items():
            assert all(same(found[key][name], value) for name, value in statistics.items()), (
                key,
                found[key],
                statistics,
            )

    async def _compare_outcomes(self) -> None:
        rejected = (await self._get("/v1/rejected-scores", limit=1000))["items"]
        found = {(one["batch_id"], one["index"]): (one["score_id"], one["code"]) for one in rejected}
        assert found == self.model.rejected
        for batch_id in self.sent:
            receipt = await self._get(f"/v1/batches/{batch_id}")
            tally = self.model.receipts.get(batch_id)
            assert receipt["status"] == ("pending" if tally is None else "done")
            if tally is not None:
                names = ("stored", "replaced", "unchanged", "rejected")
                assert {name: receipt[name] for name in names} == {name: tally[name] for name in names}

    async def _get(self, path: str, **params: Any) -> dict[str, Any]:
        return await self.lab.call(self.project, "GET", path, **params)


def _row(item: dict[str, Any]) -> dict[str, Any]:
    score = {**item, "timestamp": item["scored_at"]}
    return {"id": item["id"], **comparable(score)}


def _place(row: dict[str, Any]) -> tuple[datetime, str]:
    return datetime.fromisoformat(row["scored_at"]), row["id"]


def test_every_history_reads_like_the_model(database_url: str, redis_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = open_lab(database_url, redis_url)
        History.lab, History.runner = runner.run(opened.__aenter__()), runner
        try:
            run_state_machine_as_test(
                History,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
