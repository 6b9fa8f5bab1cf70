"""Backup and restore as docs/operating.md tells it, done to real servers under load."""
