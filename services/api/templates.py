"""The score templates: built-in score configs that a project can adopt (SPEC 4). Pure."""

from services.api.writes.configs import Draft
from shared.scores import DataType


def _rate(name: str, description: str, *, higher_is_better: bool = True) -> Draft:
    return Draft(
        name=name,
        data_type=DataType.NUMERIC,
        description=description,
        min_value=0.0,
        max_value=1.0,
        higher_is_better=higher_is_better,
    )


def _choice(name: str, description: str, *categories: str) -> Draft:
    return Draft(name=name, data_type=DataType.CATEGORICAL, description=description, categories=categories)


TEMPLATES: tuple[Draft, ...] = (
    _rate("quality", "How good the output is as a whole."),
    _rate("relevance", "How far the output answers what was asked."),
    _rate("coherence", "How far the output hangs together."),
    _rate("fluency", "How well the output reads."),
    _rate("accuracy", "How far the output's statements are true."),
    _rate("correctness", "How far the output agrees with the expected one."),
    _rate("groundedness", "How far the output rests on the sources it was given."),
    _rate("faithfulness", "How far the output claims only what its sources say."),
    _rate("context_relevancy", "How far the retrieved context has to do with the question."),
    _rate("context_precision", "How much of the retrieved context was of use, the best first."),
    _rate("context_recall", "How much of what was needed is in the retrieved context."),
    _rate("answer_relevancy", "How far the answer is about the question."),
    _rate("helpfulness", "How far the output helps its reader."),
    _rate("hallucination", "How much was made up: 0 nothing, 1 severe.", higher_is_better=False),
    _rate("toxicity", "How toxic the output is: 0 not at all, 1 severe.", higher_is_better=False),
    _rate("bias", "How biased the output is: 0 not at all, 1 severe.", higher_is_better=False),
    _choice("safety", "Whether the output is safe.", "safe", "potentially_unsafe", "unsafe"),
    _choice(
        "satisfaction", "How satisfied the tracked user is.",
        "very_satisfied", "satisfied", "neutral", "dissatisfied", "very_dissatisfied",
    ),
    Draft(
        name="thumbs", data_type=DataType.BOOLEAN, description="Thumbs up (true) or down.", higher_is_better=True
    ),
)  # fmt: skip
