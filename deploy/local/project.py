"""The database made ready: this release's schema, and the workspace, projects and keys of this home."""

from collections.abc import Mapping

import msgspec

from deploy.local.commands import require_module, run_module
from deploy.local.home import Home
from deploy.local.records import Credentials, read_credentials, write_credentials
from deploy.local.screen import Screen
from deploy.local.stopping import Heartbeat

_SETUP = "services.api.setup"


class Project:
    """Runs the commands of the project that need the database; their complaints go to logs/setup.log."""

    def __init__(self, home: Home, environment: Mapping[str, str], screen: Screen, heartbeat: Heartbeat) -> None:
        self._home, self._environment, self._screen, self._heartbeat = home, environment, screen, heartbeat
        self._log = home.log("setup")

    def migrate(self) -> None:
        with self._screen.step("Bringing the database to this release"):
            require_module(["shared.schema", "migrate"], self._environment, self._log, self._heartbeat)

    def finish_migrating(self) -> None:
        """When this release's services run, and so none of another."""
        require_module(["shared.schema", "migrate", "--post"], self._environment, self._log, self._heartbeat)

    def make_login(self, login: str, role: str, password: str) -> None:
        """For a service, with the rights that it needs. The password is not shown in the list of processes."""
        command = ["shared.schema", "login", login, role]
        require_module(command, self._environment, self._log, self._heartbeat, password.encode())

    def credentials(self) -> Credentials:
        """Return those of this home; make a project when there is none, or when the database is another than it was."""
        known = read_credentials(self._home)
        return known if known and self._is_in_database(known) else self._make()

    def _is_in_database(self, known: Credentials) -> bool:
        sent = msgspec.json.encode(known)
        return run_module([_SETUP, "--verify"], self._environment, self._log, self._heartbeat, sent)[0] == 0

    def _make(self) -> Credentials:
        with self._screen.step("Making a workspace, its projects, an owner and keys"):
            printed = require_module([_SETUP], self._environment, self._log, self._heartbeat)
        credentials = msgspec.json.decode(printed, type=Credentials)
        self._home.demo_mark.unlink(missing_ok=True)
        write_credentials(self._home, credentials)
        return credentials
