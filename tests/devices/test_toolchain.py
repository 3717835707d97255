"""What the compiler keeps: a header that is parsed once for a compiler and its flags."""

import pytest

from dendrosim.devices import compiler
from dendrosim.errors import DendrosimError


@pytest.fixture
def header(tmp_path, monkeypatch):
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "header.h"
    path.write_text("#pragma once\nint one();\n")
    return path


def test_a_header_is_parsed_once_for_its_text_and_flags(header, tmp_path):
    first = compiler.precompiled(header, ["-O1"])
    made = first.stat().st_mtime_ns
    assert first.stat().st_size > 1000
    assert compiler.precompiled(header, ["-O1"]) == first
    assert first.stat().st_mtime_ns == made
    assert compiler.precompiled(header, ["-O2"]) != first
    header.write_text("#pragma once\nint two();\n")
    assert compiler.precompiled(header, ["-O1"]) != first
    kept = [path.suffix for path in (tmp_path / "cache" / "headers").iterdir()]
    assert sorted(kept) == [".gch"] * 3 + [".json"] * 3  # each with its size and hash
    folders = {path.name for path in (tmp_path / "cache").iterdir()}
    assert folders == {"headers", "locks"}


def test_a_header_that_does_not_compile_is_not_kept(header, tmp_path):
    header.write_text("this is no C++\n")
    assert compiler.precompiled(header, []) is None
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"locks"}


@pytest.mark.parametrize("command", ['g++ -DX="1', "g++ '", "g++ \\"])
def test_a_compiler_whose_quote_stays_open_is_told(command, monkeypatch):
    monkeypatch.setenv("CXX", command)
    with pytest.raises(DendrosimError, match=r"CXX = .* is not a command"):
        compiler.compiler()
    assert not compiler.has_compiler()


def test_a_compiler_that_says_nothing_is_none(monkeypatch):
    monkeypatch.setenv("CXX", "sh -c true")
    with pytest.raises(DendrosimError, match="does not run"):
        compiler.compiler_version()
    monkeypatch.setenv("CXX", " ")
    assert compiler.compiler() == ["g++"]
