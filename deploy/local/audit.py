"""Ask whether a pinned version has a known vulnerability: `python -m deploy.local.audit requirements/run.txt …`.

Exits with 1 when one has, and names it. Where the advisories can't be reached it says in one line that nothing was
checked, and exits with 0: to be without a network is no fault. It never says that all is well of what it did not check.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ADVISORIES = "https://api.osv.dev/v1/query"
ACCEPTED = Path("requirements/accepted_advisories.txt")
SECONDS_MAX = 5
# What pip-audit's last words hold when it got no answer that it could use.
_NO_ANSWER = ("requests.exceptions.", "ConnectionError", "ServiceError", "HTTPError", "Could not connect")


@dataclass(frozen=True)
class Report:
    """Names of packages, and a line for each vulnerability."""

    checked: list[str]
    skipped: list[str]
    vulnerable: list[str]


def audit(files: list[str], url: str, accepted: list[str]) -> Report | None:
    """None where the advisories can't be reached. Raises `RuntimeError` when pip-audit fails for another reason."""
    options = ("-s", "osv", "--osv-url", url, "--timeout", str(SECONDS_MAX), "-f", "json", "--progress-spinner", "off")
    names = [option for file in files for option in ("-r", file)]
    ignored = [option for advisory in accepted for option in ("--ignore-vuln", advisory)]
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", *options, *names, *ignored]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    try:
        return _report(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError) as error:
        if any(words in done.stderr for words in _NO_ANSWER):
            return None
        raise RuntimeError(f"pip-audit failed: {done.stderr[-2000:]}") from error


def _environment() -> dict[str, str]:
    """Without settings of pip-audit's own that would turn the question into another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PIP_AUDIT_")}


def _report(dependencies: list[dict[str, Any]]) -> Report:
    return Report(
        checked=[one["name"] for one in dependencies if "skip_reason" not in one],
        skipped=[one["name"] for one in dependencies if "skip_reason" in one],
        vulnerable=[_line(one, found) for one in dependencies for found in one.get("vulns", ())],
    )


def _line(package: dict[str, Any], found: dict[str, Any]) -> str:
    mended = ", ".join(found["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {found['id']}, mended in {mended}"


def accepted_advisories(text: str) -> list[str]:
    """The ids in a file of lines `id reason`."""
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.audit", description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--url", default=ADVISORIES, help="where advisories are asked for")
    chosen = parser.parse_args()
    accepted = accepted_advisories(ACCEPTED.read_text(encoding="utf-8"))
    report = audit(chosen.files, chosen.url, accepted)
    host = urlsplit(chosen.url).hostname
    if report is None:
        print(f"advisories not checked: {host} can't be reached from here, or gives no answer")
        return 0
    for line in report.vulnerable:
        print(f"vulnerable: {line}", file=sys.stderr)
    if report.skipped:
        print(f"advisories not checked of {len(report.skipped)} packages: {', '.join(report.skipped)}")
    print(f"advisories checked of {len(report.checked)} packages at {host}: {len(report.vulnerable)} found")
    return 1 if report.vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
