"""The package as a whole: its examples in docstrings and README, what it imports, what it is made for."""

import compileall
import doctest
import importlib
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import SOURCES

import assay

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(assay.__path__, "assay.") if "__main__" not in module.name
)
README = SOURCES.parent / "README.md"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_examples_of_the_readme_hold() -> None:
    assert doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS).failed == 0


def test_importing_it_imports_the_standard_library_alone() -> None:
    script = "import sys; before = set(sys.modules); import assay; print(*(set(sys.modules) - before))"
    found = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )

    imported = {name.partition(".")[0] for name in found.stdout.split()} - {"assay"}
    assert imported <= getattr(sys, "stdlib_module_names", imported)
    assert {"asyncio", "http", "ssl", "yaml"}.isdisjoint(imported)


def test_it_compiles_on_the_oldest_python_there_is(tmp_path: Path) -> None:
    copy = shutil.copytree(SOURCES, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    oldest = shutil.which("python3.9") or sys.executable
    ran = subprocess.run([oldest, "-m", "compileall", "-q", str(copy)], capture_output=True, text=True, check=False)

    if ran.returncode and "python3.9" in ran.stderr + ran.stdout and "not found" in ran.stderr + ran.stdout:
        pytest.skip("python3.9 is only a name here")
    assert ran.returncode == 0, ran.stdout
    assert compileall.compile_dir(str(copy), quiet=1)


def test_every_public_name_is_there() -> None:
    assert all(getattr(assay, name) for name in assay.__all__)


def test_it_is_typed_and_knows_its_version() -> None:
    assert (SOURCES / "assay" / "py.typed").exists()
    assert assay.__version__.count(".") == 2
