"""Hold a proposed rule against the stored scores of its name: how many it would refuse, and for what."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from services.api.queries.scores import COLUMNS, ScoreItem, score_of
from shared.conditions import Arguments
from shared.configs import ScoreConfig
from shared.postgres import Connection

EXAMPLES_MAX = 10


class RuleCheck(Struct, frozen=True):
    """Of `checked` stored scores with the config's name, `refused` break the proposed rule, by code; and some of them,
    the newest first."""

    checked: int
    refused: int
    by_code: dict[str, int]
    examples: list[ScoreItem]


async def check_rule(connection: Connection, project_id: UUID, proposed: ScoreConfig) -> RuleCheck:
    """The codes are those of `shared.validation`, and a test holds the two against each other."""
    arguments = Arguments(project_id, proposed.name)
    code = _code_expression(proposed, arguments)
    source = f"(SELECT *, {code} AS code FROM scores WHERE project_id = $1 AND name = $2) AS scores"  # noqa: S608
    counts = await connection.fetch(
        f"SELECT code, count(*) AS count FROM {source} GROUP BY code",  # noqa: S608 - values are arguments
        *arguments.values,
    )
    by_code = {row["code"]: row["count"] for row in counts if row["code"] is not None}
    examples = await connection.fetch(
        f"""
        SELECT {COLUMNS}
        FROM {source}
        WHERE code IS NOT NULL
        ORDER BY scored_at DESC, id DESC
        LIMIT {arguments.add(EXAMPLES_MAX)}
        """,  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return RuleCheck(
        checked=sum(row["count"] for row in counts),
        refused=sum(by_code.values()),
        by_code=by_code,
        examples=[score_of(row) for row in examples],
    )


def _code_expression(proposed: ScoreConfig, arguments: Arguments) -> str:
    """The code of the rule that a row breaks first, or NULL, in the order in which `validate` looks."""
    cases: list[tuple[str, str]] = [(f"data_type <> {arguments.add(proposed.data_type)}::text", "wrong_data_type")]
    bounds: list[tuple[str, Any, str]] = [
        ("numeric_value <", proposed.min_value, "below_minimum"),
        ("numeric_value >", proposed.max_value, "above_maximum"),
    ]
    cases += [
        (f"{comparison} {arguments.add(bound)}::float8", code)
        for comparison, bound, code in bounds
        if bound is not None
    ]
    if proposed.categories is not None:
        cases.append(
            (f"categorical_value <> ALL({arguments.add(list(proposed.categories))}::text[])", "unknown_category")
        )
    return "CASE " + " ".join(f"WHEN {condition} THEN '{code}'" for condition, code in cases) + " END"
