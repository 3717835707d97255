"""What is compiled is kept whole, made again when it is damaged, and taken away on request."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dendrosim as ds
from dendrosim import DendrosimError
from dendrosim.cli.commands import main
from dendrosim.devices import program_cache
from dendrosim.devices.compiler import compiler_version
from dendrosim.devices.programs import write_manifest


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One program, in a cache of its own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENDROSIM_CACHE", str(folder))
        first = run()
        assert first.meta["compiled"] and len(first.spike_t) > 10
    return folder


@pytest.fixture
def cache(made, tmp_path, monkeypatch):
    """A copy of it for each test."""
    folder = tmp_path / "cache"
    subprocess.run(["cp", "-a", str(made), str(folder)], check=True)
    monkeypatch.setenv("DENDROSIM_CACHE", str(folder))
    return folder


def run():
    protocol = ds.Protocol("40 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])
    return ds.simulate(ds.load_model("lif"), protocol, device="cpp", progress=False, record=[])


def program(cache):
    (manifest,) = cache.glob("*/manifest.json")
    return manifest.parent


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def change(folder, **fields):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def exchange(folder):
    """Let two outputs have each other's files."""
    arrays = json.loads((folder / "manifest.json").read_text())["arrays"]
    first, second = "spike_i", "spike_t"
    change(folder, arrays=arrays | {first: arrays[second], second: arrays[first]})


def replace_by_another(folder):
    """Put the whole program of another key in its place."""
    told = json.loads((folder / "manifest.json").read_text())
    (folder / "main").write_bytes((folder / "main").read_bytes() + b"0")
    write_manifest(folder, "0" * 24, told["arrays"])


def make_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


DAMAGE = {
    "a program of another key": replace_by_another,
    "outputs exchanged": exchange,
    "an output left out": lambda folder: change(folder, arrays={}),
    "a file in its place": make_a_file,
    "half a program": lambda folder: truncate(folder / "main"),
    "no program": lambda folder: (folder / "main").unlink(),
    "an empty program": lambda folder: os.truncate(folder / "main", 0),
    "one bit": lambda folder: flip(folder / "main"),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "an empty manifest": lambda folder: os.truncate(folder / "manifest.json", 0),
    "a manifest of something else": lambda folder: (folder / "manifest.json").write_text("[1]"),
    "a manifest without outputs": lambda folder: (folder / "manifest.json").write_text(
        json.dumps({"arrays": 3, "main": program_cache.digest(folder / "main")})
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_program_is_made_again(made, cache, damage, monkeypatch):
    """The compiler is spared: what it would make is copied."""
    whole = json.loads((program(made) / "manifest.json").read_text())

    def write_project(job, device, folder, **options):
        shutil.copytree(program(made), folder, dirs_exist_ok=True)
        return whole["arrays"]

    monkeypatch.setattr("dendrosim.devices.standalone.write_project", write_project)
    DAMAGE[damage](program(cache))
    again = run()
    assert again.meta["compiled"] and len(again.spike_t) > 10
    assert not run().meta["compiled"]


def test_a_program_that_may_not_be_executed_may_again(cache):
    (program(cache) / "main").chmod(0o600)
    assert not run().meta["compiled"]


def test_a_program_of_another_user_is_not_run(cache, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(DendrosimError, match=r"main belongs to another user and is not run"):
        run()


def test_a_library_is_checked_too(tmp_path, monkeypatch):
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
    made = []

    def make(folder):
        made.append(folder)
        (folder / "x").write_bytes(b"a library" * 100)
        return folder / "x"

    path = program_cache.made_once("kernel-{}.so", ["text"], make)
    assert program_cache.made_once("kernel-{}.so", ["text"], make) == path and len(made) == 1
    for damage in (truncate, flip, Path.unlink):
        damage(path)
        assert program_cache.made_once("kernel-{}.so", ["text"], make).stat().st_size == 900
    assert len(made) == 4
    program_cache.made_once("kernel-{}.so", ["another text"], make)
    one, other = tmp_path.glob("kernel-*.so")
    for a, b in ((one, other), (Path(f"{one}.json"), Path(f"{other}.json"))):
        a.rename(tmp_path / "held")
        b.rename(a)
        (tmp_path / "held").rename(b)
    program_cache.made_once("kernel-{}.so", ["text"], make)
    assert len(made) == 6  # what was exchanged is whole, and not what is asked for
    other.unlink() if other != path else one.unlink()
    assert [e.kind for e in program_cache.entries()] == ["kernel"]


CYTHON = """
import dendrosim as ds
p = ds.Protocol("40 ms", [ds.Stimulus("soma", "constant", amplitude="0.7")])
r = ds.simulate(ds.load_model("lif"), p, device="cython", progress=False, record=[])
print(len(r.spike_t), r.meta["compiled"])
"""


def test_damaged_cython_modules_are_made_again(tmp_path, monkeypatch):
    """Half a module ended the process with a bus error, in every later run too."""
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))

    def cython():
        command = [sys.executable, "-W", "ignore", "-c", CYTHON]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split()

    spikes, compiled = cython()
    assert compiled == "True" and cython() == [spikes, "False"]
    first, second, third, *_ = sorted(tmp_path.glob("cython/*/*.so"))
    os.truncate(first, 20_000)
    second.write_bytes(third.read_bytes())
    assert cython() == [spikes, "True"]
    assert cython() == [spikes, "False"]


def test_options_of_the_compiler_make_another_program(monkeypatch):
    monkeypatch.setenv("CXX", "g++ -O0")
    plain = compiler_version()
    monkeypatch.setenv("CXX", "g++")
    assert compiler_version() != plain


def test_a_compiler_that_makes_nothing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "/bin/true")
    with pytest.raises(
        DendrosimError, match=r"needs a C\+\+ compiler|ended with status 0 and made"
    ):
        run()


def test_what_killed_processes_left_is_swept(tmp_path, monkeypatch):
    """A folder of a process that has ended, one of this process, one of another computer."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    here = program_cache.scratch_name("key")
    mine = tmp_path / f"{here}x"
    gone = tmp_path / f"{here.replace(str(os.getpid()), str(ended.pid))}x"
    there = tmp_path / f"key.00000000-{ended.pid}.x"
    old = tmp_path / f"key.00000001-{ended.pid}.x"
    others = [tmp_path / name for name in ("folder", "a.b", "key.0-x.y", "0123abcd")]
    for folder in (mine, gone, there, old, *others):
        folder.mkdir()
        (folder / "file").touch()
    long_ago = time.time() - 2 * program_cache.FORGOTTEN
    os.utime(old, (long_ago, long_ago))
    program_cache.sweep(tmp_path)
    assert {*tmp_path.iterdir()} == {mine, there, *others}


class TestCommand:
    def test_lists_limits_and_clears(self, cache, capsys):
        assert main(["cache", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert {entry["kind"] for entry in listed["entries"]} == {"program", "header"}
        assert listed["bytes"] == sum(entry["bytes"] for entry in listed["entries"]) > 10**5
        assert main(["cache"]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith(f"{cache}: 2 entries, ")
        (name,) = (e["name"] for e in listed["entries"] if e["kind"] == "program")
        (header,) = (cache / "headers").glob("*.gch")
        os.utime(header, (0, 0))  # the program is the last used
        size = next(e["bytes"] for e in listed["entries"] if e["kind"] == "program")
        assert main(["cache", "--limit", f"{size} B"]) == 0
        assert "removed 1 of 2 entries" in capsys.readouterr().out
        assert (cache / name / "main").is_file() and not any((cache / "headers").iterdir())
        assert not run().meta["compiled"]
        assert main(["cache", "--clear"]) == 0
        assert program_cache.entries() == []
        assert run().meta["compiled"]

    @pytest.mark.parametrize("size", ["much", "-1 GB", "1 PB", "nan GB", ""])
    def test_a_size_that_is_none_is_refused(self, size, capsys):
        assert main(["cache", "--limit", size]) == 2
        assert "is not a size such as '500 MB' or '2 GB'" in capsys.readouterr().err

    def test_an_empty_folder(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "none"))
        assert main(["cache"]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'none'}: 0 entries, 0.0 MB\n"
