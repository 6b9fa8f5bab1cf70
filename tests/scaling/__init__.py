"""A full queue and the workers that empty it: how fast, and what stops them (`python -m tests.scaling --help`)."""
