"""Write docs/openapi/*.json from the endpoint tables; with --check, fail where they are not up to date."""

import sys
from pathlib import Path

import msgspec

from services.api.app import DOCUMENT as API
from services.ingest.app import DOCUMENT as INGEST

HERE = Path(__file__).parent


def main() -> None:
    stale = []
    for name, document in (("ingest", INGEST), ("api", API)):
        path = HERE / f"{name}.json"
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(HERE.parent.parent)))
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run `make openapi`")


if __name__ == "__main__":
    main()
