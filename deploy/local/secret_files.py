"""Files that hold secrets: readable by their owner alone from the first byte on, and never half written."""

import os
import secrets
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """Write the file with mode 0600, all or nothing: a reader sees the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def remembered_password(path: Path) -> str:
    """Return the password in the file, which is made with a random one when there is none."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(24))
    return path.read_text().strip()
