"""One target under atheris, until libFuzzer's own options say stop: `python -m tests.fuzz.guided decode -runs=1000`."""

import sys

import atheris

WITH_COVERAGE = ["services", "shared", "uvicorn.protocols.http.httptools_impl"]


def main() -> None:
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=WITH_COVERAGE):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
