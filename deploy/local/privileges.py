"""Run a server that refuses root as the user `nobody`, when we are root. Needs no rights on the way to its files."""

import os
import pwd
import shutil
import signal
from pathlib import Path

from deploy.local.errors import CannotStart

_UNPRIVILEGED_USER = "nobody"


def unprivileged(command: list[str], stop_signal: signal.Signals) -> list[str]:
    """Return the command as root may run it; unchanged for anyone else.

    The one right it keeps, to pass folders that are not its own, is for a checkout under a closed /root. Without the
    securebit that right would not count in access(2), by which PostgreSQL looks for its own programs. `setpriv`
    replaces itself by the command, so the pid stays. It asks for the parent's-death signal because changing the user
    clears the one we asked for.
    """
    if os.geteuid() != 0:
        return command
    user = _user()
    return [
        _setpriv(),
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        f"--pdeathsig={stop_signal.name}",
        *command,
    ]


def hand_over(path: Path) -> None:
    """Give a file or folder to the user that `unprivileged` commands run as."""
    if os.geteuid() == 0:
        os.chown(path, _user().pw_uid, _user().pw_gid)


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_UNPRIVILEGED_USER)
    except KeyError:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and there is no user `{_UNPRIVILEGED_USER}` to run it as.",
            "Run this as an ordinary user, or set DATABASE_URL to a server of your own.",
        ) from None


def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise CannotStart(
            "PostgreSQL refuses to run as root, and `setpriv` (of util-linux) is not there to run it as another user.",
            "Run this as an ordinary user, install util-linux, or set DATABASE_URL to a server of your own.",
        )
    return found
