"""A chat endpoint whose users give feedback: `uvicorn fastapi_feedback:app`.

The answer carries the id of its trace; a thumb comes back with it. `score()` does no I/O, so it is called in `async`
code as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Optional

from fastapi import FastAPI
from pydantic import BaseModel
from stand_in import Model, StandIn, words

import assay

CONTEXT = "An assay is a test of quality. Gold is assayed with fire. Scores are judgements"
model: Model = StandIn()


class Question(BaseModel):
    text: str
    conversation_id: str


class Reply(BaseModel):
    text: str
    trace_id: str


class Feedback(BaseModel):
    trace_id: str
    up: bool
    comment: Optional[str] = None
    user: Optional[str] = None


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    assay.init(environment="example")
    yield
    assay.shutdown()


app = FastAPI(lifespan=lifespan)


@app.post("/chat")
async def chat(question: Question) -> Reply:
    async with assay.trace("chat", session_id=question.conversation_id) as trace:
        async with assay.span("complete") as span:
            text = await model.complete(f"Context: {CONTEXT}\nQuestion: {question.text}")
            span.add_score("answer_characters", len(text))
        assay.score("answered", bool(words(text) & words(question.text)))
        return Reply(text=text, trace_id=trace.id)


@app.post("/feedback", status_code=204)
async def feedback(given: Feedback) -> None:
    # An id of its own meaning: a person who changes their mind replaces their thumb.
    assay.thumbs(
        given.up,
        trace_id=given.trace_id,
        comment=given.comment,
        author=given.user,
        id=f"thumb-{given.trace_id}-{given.user or 'anonymous'}",
    )
