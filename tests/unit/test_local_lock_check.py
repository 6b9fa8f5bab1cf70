"""The lock's own check: what may stand in a compiled requirements file, and what not."""

import pytest

from deploy.local.lock_check import problems

HASH = "    --hash=sha256:" + "0" * 64


def test_pins_with_hashes_are_fine() -> None:
    text = f"# made by make lock\nanyio==4.1 ; python_version < '3.13' \\\n{HASH} \\\n{HASH}\nhttpx==0.28 \\\n{HASH}\n"

    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"anyio==4.1\nhttpx==0.28 \\\n{HASH}\n", "anyio has no hash"),
        ("httpx==0.28\n", "httpx has no hash"),
        ("--index-url somewhere\n", "not a pin: --index-url somewhere"),
        ("httpx @ file:///a/path\n", "not a pin: httpx @ file:///a/path"),
        ("httpx>=0.28\n", "not a pin: httpx>=0.28"),
    ],
)
def test_what_is_not_safe_to_install_is_named(text: str, problem: str) -> None:
    assert problems(text) == [problem]
