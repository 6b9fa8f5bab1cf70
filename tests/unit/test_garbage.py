"""Short pauses: what is loaded is left alone, and young garbage goes without waiting until there is much of it."""

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

# In a process of its own: it is about the whole of one.
CODE = """
import asyncio, gc, json, weakref
from shared import garbage

class Knot:
    def __init__(self):
        self.itself = self

async def main():
    async with garbage.short_pauses():
        frozen = gc.get_freeze_count()
        knot = weakref.ref(Knot())
        while knot() is not None:
            await asyncio.sleep(0.01)
        tasks = len(asyncio.all_tasks())
    print(json.dumps([frozen, gc.get_threshold()[0], tasks, len(asyncio.all_tasks())]))

asyncio.run(asyncio.wait_for(main(), 30))
"""


def test_young_garbage_goes_soon_and_what_was_there_before_is_not_looked_at() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    frozen, young_max, tasks, tasks_afterwards = json.loads(done.stdout)
    assert frozen > 10_000
    assert young_max > 10_000
    assert tasks_afterwards == tasks - 1
