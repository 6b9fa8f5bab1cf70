"""Write deploy/monitoring/dashboards/*.json from the boards; with --check, fail where they are not up to date."""

import sys
from pathlib import Path

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import as_json

HERE = Path(__file__).parent
DASHBOARDS = HERE / "dashboards"


def main() -> None:
    stale = []
    for board in BOARDS:
        path = DASHBOARDS / f"{board.name}.json"
        text = as_json(board)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(HERE.parent.parent)))
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run `make dashboards`")


if __name__ == "__main__":
    main()
