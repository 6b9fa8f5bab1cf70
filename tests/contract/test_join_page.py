"""The page behind an invitation's link: it loads nothing from elsewhere, and runs nothing inline."""

import re

import pytest

from tests.stack import Stack


async def test_the_page_loads_its_own_files_and_nothing_else(stack: Stack) -> None:
    page = await stack.api.get("/join")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert sorted(loaded) == ["/join/page.css", "/join/page.js"]
    for path in loaded:
        assert (await stack.api.get(path)).status_code == 200
    assert not re.search(r"<script>|<style>| on\w+=|style=", page.text)


@pytest.mark.parametrize("path", ["/join", "/join/page.css", "/join/page.js"])
async def test_the_page_is_in_nobodys_frame_and_tells_nobody_its_address(stack: Stack, path: str) -> None:
    headers = (await stack.api.get(path)).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
