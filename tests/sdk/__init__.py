"""The Python SDK and the command against the real server."""
