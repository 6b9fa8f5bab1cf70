"""The shortest program: one trace, two scores, and what became of them."""

from __future__ import annotations

import assay


def answer(question: str) -> str:
    return f"You asked: {question}"


def main() -> None:
    with assay.trace("answer") as trace:
        reply = answer("What is an assay?")
        assay.score("relevance", 0.92, comment="on topic")
        assay.score("language", "english" if reply.isascii() else "other")
    print(f"trace {trace.id}")  # what is scored is sent when the program ends


if __name__ == "__main__":
    main()
