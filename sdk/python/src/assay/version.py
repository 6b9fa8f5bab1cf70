"""The version of this package, as its server sees it in `User-Agent`."""

__version__ = "0.1.0"
