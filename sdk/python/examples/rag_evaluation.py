"""Evaluate retrieval and answers over a few cases, with several metrics for each.

The trace and score ids follow from the run's name and the case, so running it again replaces the scores.
`python rag_evaluation.py RUN`
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from typing import NamedTuple

from stand_in import Model, StandIn, words

import assay

DOCUMENTS = {
    "gold": "Gold is assayed with fire. The test is called cupellation",
    "score": "A score is one judgement about an output. It has a name and a value",
    "queue": "The queue is on disk. A worker reads the queue",
}


class Case(NamedTuple):
    """A question, the document that answers it, and what a good answer mentions."""

    question: str
    document: str
    expected: str


CASES = [
    Case("How is gold assayed?", "gold", "fire"),
    Case("What is a score about?", "score", "judgement"),
    Case("Who reads the queue?", "queue", "worker"),
    Case("Why is the sky blue?", "queue", "light"),
]


async def evaluate(run: str, case: Case, model: Model) -> None:
    key = hashlib.sha256(f"{run}:{case.question}".encode()).hexdigest()
    about = {"run": run, "case": case.question}
    async with assay.trace("rag", id=key[:32], metadata=about):
        async with assay.span("retrieve", id=key[32:48]) as retrieval:
            ranked = sorted(DOCUMENTS, key=lambda name: -len(words(DOCUMENTS[name]) & words(case.question)))
            place = ranked.index(case.document)
            retrieval.add_score("reciprocal_rank", 1 / (place + 1), id=f"{key[:32]}-rank", metadata=about)
        answer = await model.complete(f"Context: {DOCUMENTS[ranked[0]]}\nQuestion: {case.question}")
        overlap = len(words(answer) & words(DOCUMENTS[ranked[0]])) / max(1, len(words(answer)))
        verdict = "correct" if case.expected in answer.lower() else "wrong"
        for name, value in (("groundedness", overlap), ("verdict", verdict), ("answer_characters", len(answer))):
            assay.score(name, value, id=f"{key[:32]}-{name}", metadata=about, source="EXTERNAL")


async def main(run: str) -> None:
    await asyncio.gather(*(evaluate(run, case, StandIn()) for case in CASES))
    assay.flush(30)
    print(f"{len(CASES)} cases evaluated as {run}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "nightly"))
