"""Where things are in this checkout."""

from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "src"
