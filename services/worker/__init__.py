"""Consume → validate → persist, and the background jobs."""
