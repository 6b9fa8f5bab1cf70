"""Assay on one machine: what `make run` runs.

It talks to the services as processes and over HTTP, and imports none of them.
"""
