"""A model that is none: the same answer to the same prompt, in no time, without a network.

`Model` is what the examples need of a real one; put your client behind it.
"""

from __future__ import annotations

import json
import re
from typing import Protocol


class Model(Protocol):
    """A language model."""

    name: str

    async def complete(self, prompt: str) -> str: ...


class StandIn:
    """Answers with the sentence of the prompt's context that shares most words with the question; judges by overlap."""

    name = "stand-in-1"

    async def complete(self, prompt: str) -> str:
        question = _after("Question:", prompt)
        if "Rate" in prompt:
            shared = len(words(_after("Answer:", prompt)) & words(question))
            rating = min(5, 1 + 2 * shared)
            return f"Here is my verdict:\n{json.dumps({'rating': rating, 'reason': f'{shared} words of the question'})}"
        sentences = [line for line in _after("Context:", prompt).split(". ") if line]
        return max(sentences, key=lambda sentence: len(words(sentence) & words(question)), default="I don't know")


def words(text: str) -> set[str]:
    """Return the words that carry meaning."""
    return {word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 3}


def _after(label: str, prompt: str) -> str:
    _, _, rest = prompt.partition(label)
    return rest.partition("\n")[0].strip()
