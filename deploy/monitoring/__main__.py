"""Write what is made from other files: deploy/monitoring/dashboards/*.json from the boards, and the alert rules as an
object of the Prometheus Operator. With --check, fail where they are not up to date."""

import sys
from pathlib import Path

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import as_json
from deploy.monitoring.rules import as_object

HERE = Path(__file__).parent
DASHBOARDS = HERE / "dashboards"
RULES = HERE / "operator" / "rules.yaml"


def made() -> dict[Path, str]:
    """What each file is to say."""
    rules = {RULES: as_object((HERE / "alerts.yml").read_text(encoding="utf-8"))}
    return {DASHBOARDS / f"{board.name}.json": as_json(board) for board in BOARDS} | rules


def main() -> None:
    stale = []
    for path, text in made().items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(HERE.parent.parent)))
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run `make dashboards`")


if __name__ == "__main__":
    main()
