"""Law: what is shipped, and that the shelves are found however the package was installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from places import ROOT

from dendrosim._version import __version__

SHELVES = ("models", "protocols")
UNSHIPPED = (".*", "build", "dist", "demo", "output", "*.egg-info", "__pycache__")

pytestmark = pytest.mark.xdist_group("packaging")  # one worker, so that each build happens once


def run(*command: str | Path, **options) -> str:
    """Run a command and return what it printed; show all of it if the command fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path, *kinds: str) -> Path:
    """Build a source tree with the setuptools of this environment, and return the wheel."""
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", out, source)
    (wheel,) = out.glob("*.whl")
    return wheel


def files_in(wheel: Path) -> list[str]:
    """Return what a wheel installs, less its metadata, sorted; a file twice is told twice."""
    names = zipfile.ZipFile(wheel).namelist()
    return sorted(name for name in names if ".dist-info/" not in name)


def files_due(source: Path) -> list[str]:
    """Return what a wheel of this source tree has to install, and all that it may."""
    code = [path.relative_to(source).as_posix() for path in source.glob("dendrosim/**/*.py*")]
    shelves = [
        f"dendrosim/{kind}/{p.name}" for kind in SHELVES for p in source.glob(f"{kind}/*.toml")
    ]
    kinds = (
        "model/*.t*t",
        "model/*.toml",
        "devices/cpp_sources/*",
        "papers/*.toml",
        "recipes/*.toml",
    )
    inside = [path for kind in kinds for path in source.glob(f"dendrosim/{kind}")]
    return sorted(code + shelves + [path.relative_to(source).as_posix() for path in inside])


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of the checkout, so that no build writes into it or finds an older build's files."""
    copy = tmp_path_factory.mktemp("source") / "dendrosim"
    return shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*UNSHIPPED))


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory):
    return build(source, tmp_path_factory.mktemp("wheel"), "--wheel")


@pytest.fixture(scope="session")
def sdist(source, wheel, tmp_path_factory):
    """The folder with an sdist and the wheel that was built from that sdist alone."""
    del wheel  # built first: two builds in one tree take turns
    shutil.rmtree(source / "build", ignore_errors=True)
    return build(source, tmp_path_factory.mktemp("sdist")).parent


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """The folder that a wheel was installed into."""
    target = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, wheel)
    return target


def test_there_is_something_on_each_shelf():
    assert all(on_shelf(ROOT, kind) for kind in SHELVES)


def test_a_wheel_holds_the_code_and_the_shelves_and_nothing_else(wheel, source):
    assert files_in(wheel) == files_due(source)


def test_a_wheel_from_the_sdist_holds_the_same(sdist, wheel):
    (from_sdist,) = sdist.glob("*.whl")
    assert files_in(from_sdist) == files_in(wheel)


def test_a_wheel_carries_its_licence_version_and_command(wheel):
    shipped = zipfile.ZipFile(wheel)
    (info,) = {name.split("/")[0] for name in shipped.namelist() if ".dist-info/" in name}
    assert info == f"dendrosim-{__version__}.dist-info"
    assert shipped.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert b"dendrosim = dendrosim.cli.commands:main" in shipped.read(f"{info}/entry_points.txt")
    assert shipped.read(f"{info}/top_level.txt").split() == [b"dendrosim"]


def test_an_sdist_holds_what_a_reader_and_a_tester_need(sdist):
    (archive,) = sdist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    due = {
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
        "setup.py",
        "tests/test_packaging.py",
    }
    assert due - names == set()
    assert [name for name in names if "__pycache__" in name] == []


FIND_SHELVES = f"""
import json
from importlib.resources import files
from dendrosim import shelves

found = {{}}
for kind in {SHELVES!r}:
    names = shelves.names(kind)
    found[kind] = [str(shelves.shelf(kind)), names]
    for name in names:
        shelves.read_toml(shelves.find(name, kind))
print(json.dumps([str(files("dendrosim")), found]))
"""


def find_shelves(where: Path, **environment: str) -> list:
    """Ask a fresh Python, in another folder, where the package and its shelves are."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return json.loads(
        run(sys.executable, "-c", FIND_SHELVES, cwd=where, env={**clean, **environment})
    )


def on_shelf(root: Path, kind: str) -> list[str]:
    return sorted(path.stem for path in root.glob(f"{kind}/*.toml"))


def test_an_installed_wheel_finds_its_shelves(installed, source, tmp_path):
    package, shelves = find_shelves(tmp_path, PYTHONPATH=str(installed))
    home = installed / "dendrosim"
    assert package == str(home)
    assert shelves == {kind: [str(home / kind), on_shelf(source, kind)] for kind in SHELVES}


def test_an_editable_install_finds_its_shelves(tmp_path):
    package, shelves = find_shelves(tmp_path)
    assert package == str(ROOT / "dendrosim"), "these tests run in an editable install: `make test`"
    assert shelves == {kind: [str(ROOT / kind), on_shelf(ROOT, kind)] for kind in SHELVES}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the pins are for Python 3.11")
def test_every_package_that_the_tests_need_is_pinned_and_installed_as_pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    due = needed("dendrosim", "test")
    assert due == {name: pins.get(name) for name in due}
    assert set(pins) - set(due) == {"setuptools"} - set(due), "pinned, but nothing needs it"


def needed(name: str, *extras: str) -> dict[str, str]:
    """Return the version here of each package that `name[extras]` needs, however indirectly."""
    found: dict[str, str] = {}
    queue = [(name, ("", *extras))]
    while queue:
        parent, asked = queue.pop()
        for requirement in map(Requirement, distribution(parent).requires or []):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in asked):
                continue
            child = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if child not in found:
                found[child] = distribution(child).version.partition("+")[0]
                queue.append((child, ("", *requirement.extras)))
    return found
