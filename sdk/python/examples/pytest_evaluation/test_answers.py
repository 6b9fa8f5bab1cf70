"""Tests of an application's answers that pass or fail, and measure on the way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

import assay

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stand_in import StandIn, words

CONTEXT = "Gold is assayed with fire. Paper is never assayed"


@pytest.mark.parametrize(("question", "expected"), [("How is gold assayed?", "fire"), ("Is paper assayed?", "Paper")])
def test_the_answer_mentions_what_is_asked_for(question: str, expected: str) -> None:
    answer = asyncio.run(StandIn().complete(f"Context: {CONTEXT}\nQuestion: {question}"))

    assay.score("relevance", len(words(answer) & words(question)) / len(words(question)))
    assert expected in answer
