"""Files that are changed by chance: each is read, or refused in a sentence (see `fuzz.runner`)."""

from __future__ import annotations

import json

import pytest
from fuzz import runner, worker
from fuzz.kinds import KINDS, case, plan, seeds_of


def told(report: runner.Report) -> str:
    return "\n".join(f"{f.kind} {f.number}: {f.what}" for f in report.failures)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_changed_was_good_and_is_changed_the_same_way_again(name, tmp_path):
    seeds = seeds_of(name)
    for content in seeds:
        path = tmp_path / f"good{KINDS[name].ending}"
        path.write_bytes(content)
        assert worker.outcome(name, path) == ("read", "")
    cases = [case(name, number, seeds) for number in range(20)]
    assert cases == [case(name, number, seeds) for number in range(20)]
    assert sum(content in seeds for content in cases) < 5


def test_two_thousand_changed_files(tmp_path):
    report = runner.run(plan(2_000), tmp_path)
    assert not report.failures, told(report)
    assert sum(report.counts.values()) > 1_900
    assert {name for name, what in report.counts if what == "refused"} == {*KINDS}


@pytest.mark.slow
def test_twenty_thousand_changed_files(tmp_path):
    report = runner.run(plan(20_000, first=10_000), tmp_path)
    assert not report.failures, told(report)


# The runner sees what it looks for


FAULTS = {
    "raises": "raise KeyError('x')",
    "runs for ever": "\n    while True: pass",
    "takes all memory": "return bytearray(2**40)",
    "ends the process": "import os; os._exit(3)",
    "says no sentence": "raise DendrosimError('<ast.Name object at 0x7f>')",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault, tmp_path, monkeypatch):
    module = tmp_path / "faulty.py"
    module.write_text(
        "import fuzz.kinds, fuzz.worker\n"
        "from dendrosim.errors import DendrosimError\n"
        "def read(path):\n"
        "    if path.name.startswith('good'): return None\n"
        f"    {FAULTS[fault]}\n"
        "fuzz.kinds.KINDS = {'npy': fuzz.kinds.KINDS['npy']._replace(read=read)}\n"
        "fuzz.worker.SECONDS = 1\n"
        "fuzz.worker.main()\n"
    )
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setattr(runner, "WORKER", [str(module)])
    report = runner.run([("npy", 0), ("npy", 1)], folder)
    assert [f.number for f in report.failures] == [0, 1]
    expected = {
        "raises": "KeyError",
        "runs for ever": "processor time",
        "takes all memory": "MemoryError",
        "ends the process": "status 3",
        "says no sentence": "0x7f",
    }
    assert all(expected[fault] in f.what for f in report.failures)


def test_a_file_that_runs_code_is_seen(tmp_path):
    (tmp_path / "ran").write_text("")
    (failure,) = runner.run([], tmp_path).failures
    assert "ran code" in failure.what
    json.dumps(failure)
