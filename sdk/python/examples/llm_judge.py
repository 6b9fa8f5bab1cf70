"""An LLM as judge: a rubric, a verdict that is parsed, its reasoning as the comment, several at a time.

What the judge says is taken as it is where it can be read, and counted where it can't: `judge_readable`.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import NamedTuple, Optional

from stand_in import Model, StandIn

import assay

RUBRIC = """\
Rate how relevant the answer is to the question, from 1 (not at all) to 5 (entirely).
Answer with JSON: {{"rating": 1-5, "reason": "…"}}
Question: {question}
Answer: {answer}
"""
ANSWERS = [
    ("How is gold assayed?", "Gold is assayed with fire"),
    ("How is gold assayed?", "The weather is fine"),
    ("What does a worker read?", "The worker does read the queue"),
]
AT_ONCE = 4


class Verdict(NamedTuple):
    rating: int
    reason: str


async def judge(model: Model, question: str, answer: str, at_once: asyncio.Semaphore) -> Optional[Verdict]:
    async with at_once, assay.trace("judged answer", metadata={"question": question}):
        said = await model.complete(RUBRIC.format(question=question, answer=answer))
        verdict = parse(said)
        assay.score("judge_readable", verdict is not None, author=model.name)
        if verdict is not None:
            assay.score(
                "relevance_rating", verdict.rating, comment=verdict.reason, source="LLM_JUDGE", author=model.name
            )
        return verdict


def parse(said: str) -> Optional[Verdict]:
    """Return the verdict in what a judge says, which may have words around it; None when there is none."""
    found = re.search(r"\{.*\}", said, re.DOTALL)
    try:
        verdict = json.loads(found.group()) if found else {}
        rating = int(verdict["rating"])
    except (ValueError, KeyError, TypeError):
        return None
    return Verdict(rating, str(verdict.get("reason", ""))) if 1 <= rating <= 5 else None


async def main() -> None:
    at_once = asyncio.Semaphore(AT_ONCE)
    verdicts = await asyncio.gather(*(judge(StandIn(), question, answer, at_once) for question, answer in ANSWERS))
    for (question, answer), verdict in zip(ANSWERS, verdicts):
        print(f"{verdict.rating if verdict else '?'}  {question}  {answer}")


if __name__ == "__main__":
    asyncio.run(main())
