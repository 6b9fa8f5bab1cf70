"""The data folder, the settings and the ports: what is refused before anything starts, and in which words."""

import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local.errors import CannotStart
from deploy.local.home import Home
from deploy.local.ports import free_port, holder, is_free, remembered_port
from deploy.local.records import Run, read_run, write_run
from deploy.local.services import refuse_taken_ports
from deploy.local.settings import Settings

RUN = Run("http://i", "http://a", "p", "key", "e", "pw", "postgresql://", "redis://", {"ingest": 1, "postgres": None})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "my home")
    home.prepare()
    return home


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_home_is_closed_to_others(home: Home) -> None:
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_a_second_run_in_a_home_is_refused_with_the_pid_of_the_first(home: Home) -> None:
    with home.locked(), pytest.raises(CannotStart, match=f"already runs on .* \\(pid {os.getpid()}\\)"), home.locked():
        pass


def test_a_home_is_free_again_after_a_run(home: Home) -> None:
    for _ in range(2):
        with home.locked():
            pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CannotStart, match="can't be written") as refusal:
        Home(tmp_path / "file" / "home").prepare()
    assert "ASSAY_HOME" in refusal.value.remedy


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5 * 2**20))

    with pytest.raises(CannotStart, match="has 5 MB left"):
        Home(tmp_path).prepare()


def test_logs_of_the_run_before_are_kept(home: Home) -> None:
    home.log("worker").write_text("old")

    home.rotate_logs()

    assert (home.logs / "worker.log.1").read_text() == "old"
    assert not home.log("worker").exists()


def test_what_is_written_about_a_run_is_read_back_by_its_owner_alone(home: Home) -> None:
    write_run(home, RUN)

    assert read_run(home) == RUN
    assert stat.S_IMODE(home.run_file.stat().st_mode) == 0o600
    assert json.loads(home.run_file.read_text())["pids"] == {"ingest": 1, "postgres": None}


def test_without_a_run_the_way_to_start_one_is_told(home: Home) -> None:
    with pytest.raises(CannotStart, match="No Assay runs") as refusal:
        read_run(home)
    assert "make run" in refusal.value.remedy


def test_a_taken_port_is_refused_with_its_variable_and_its_holder(taken_port: int) -> None:
    settings = Settings.from_environment({"ASSAY_INGEST_PORT": str(taken_port), "ASSAY_API_PORT": str(free_port())})

    with pytest.raises(CannotStart, match=f"Port {taken_port} is taken") as refusal:
        refuse_taken_ports(settings)
    assert "ASSAY_INGEST_PORT" in refusal.value.remedy
    assert holder(taken_port) is None or f"(pid {os.getpid()})" in refusal.value.problem


def test_a_port_is_remembered_while_it_is_free(tmp_path: Path) -> None:
    port = remembered_port(tmp_path / "port")

    assert remembered_port(tmp_path / "port") == port
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert remembered_port(tmp_path / "port") != port


def test_an_empty_variable_counts_as_unset() -> None:
    settings = Settings.from_environment({"DATABASE_URL": "", "ASSAY_API_PORT": " ", "ASSAY_HOME": ""})

    assert (settings.database_url, settings.api_port, settings.home.name) == (None, 8000, ".assay")


@pytest.mark.parametrize("text", ["eighty", "0", "65536", "-1", "８０"])
def test_what_is_no_port_is_refused_by_the_name_of_its_variable(text: str) -> None:
    with pytest.raises(CannotStart, match="ASSAY_API_PORT"):
        Settings.from_environment({"ASSAY_API_PORT": text})


def test_two_services_on_one_port_are_refused() -> None:
    with pytest.raises(CannotStart, match="one port"):
        Settings.from_environment({"ASSAY_API_PORT": "8001"})
