"""Measure Assay, every figure beside its limit from the same run: `python -m bench`. README.md says how to read it."""
