"""Keep the pauses of Python's garbage collector short. It reads every object that could be part of a cycle, and stops
everything meanwhile: with ten thousand connections open that was half a second, again and again.
"""

import gc

# Net allocations until the youngest are looked at; how often that is done until those that outlived it are, and until
# all are. Nearly all garbage goes without this, by reference counts.
YOUNG, MIDDLE, ALL = 10_000, 5, 50


def keep_pauses_short() -> None:
    """Once everything is loaded, which stays anyway and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, ALL)
