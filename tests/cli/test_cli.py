"""The command line: what it prints, and that bad input is one sentence and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from places import EPHYS, ROOT

from dendrosim.cli.commands import main

FSI = EPHYS / "2019_07_24_0055_fsi.abf"
MODEL = """
title = "Leaky membrane"
kind = "continuous"
inputs = { soma = "I_s" }
potentials = { soma = "v" }
method = "exponential_euler"
dt = "0.1 ms"
threshold = "v > -50*mV"
reset = "v = -65*mV"
equations = \"\"\"
dv/dt = (g*(E - v) + I_s)/C : volt
I_s : amp/meter**2
\"\"\"
[parameters]
g = "0.1 mS/cm**2"
E = "-65 mV"
C = "1 uF/cm**2"
[initial]
v = "-65 mV"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(MODEL)
    return tmp_path


def out(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_lists_and_pages(capsys):
    assert "kepecs_wang_2000" in out(capsys, "models")
    names = {row["name"] for row in json.loads(out(capsys, "protocols", "--json"))}
    assert {"constant", "step", "ramp", "chirp", "fi_curve", "recorded"} <= names
    page = out(capsys, "show", "pinsky_rinzel_1994")
    assert "dv_s/dt" in page and "2.1 mS/cm**2" in page and "10.1007/BF00962717" in page
    assert max(map(len, page.splitlines())) <= 140
    table = json.loads(out(capsys, "show", "lif", "--json"))
    assert table["parameters"]["beta"]["value"] == "0.8"
    assert "linspace(-0.5, 5.5, 41)" in out(capsys, "show", "fi_curve")


def test_run_of_a_users_own_model(capsys, here):
    arguments = ["run", "mine.toml", "constant", "--set", "amplitude=3 uA/cm**2", "--set",
                 "duration=100 ms", "--device", "numpy"]  # fmt: skip
    text = out(capsys, *arguments, "--out", "a.nc")
    # rheobase g (V_th - E) = 1.5; at 3 the membrane (tau 10 ms) fires every 10 ln 2 = 6.93 ms
    assert text.split()[-3] == "14"
    assert (here / "a.nc").is_file()
    table = json.loads(out(capsys, *arguments, "--json"))
    assert len(table["spike_times_s"][0]) == table["neurons"][0]["spikes"] == 14
    assert table["meta"]["method"] == "exponential_euler"
    out(capsys, *arguments, "--out", "a.csv")
    assert (here / "a.csv").read_text().splitlines()[0] == "neuron,time (s)"
    out(capsys, *arguments, "--out", "a.png")
    assert (here / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_the_rate_of_a_run_is_that_of_all_its_spikes(capsys):
    """One spike each 3 ms, the last at 1500 ms, the end of the run."""
    arguments = ["run", "lif", "constant", "--set", "amplitude=0.5", "--device", "numpy"]
    (row,) = json.loads(out(capsys, *arguments, "--json"))["neurons"]
    assert (row["spikes"], row["spikes_whole_run"]) == (500, 500)
    assert row["rate_hz"] == pytest.approx(1000 / 3) and row["first_spike_ms"] == 3
    text = out(capsys, *arguments)
    assert text.split()[-3:] == ["500", "333.3", "3"] and "whole run" not in text


def test_a_run_counts_in_the_measured_window_and_says_so(capsys, here):
    """Of the spikes at 3, 6, ... 60 ms: 15 is before the window, 45 the end of its last step."""
    (here / "w.toml").write_text("""
title = "Window"
duration = "60 ms"
measure = { start = "15 ms", stop = "45 ms" }
[[stimuli]]
into = "soma"
shape = "constant"
amplitude = "0.5"
""")
    arguments = ["run", "lif", "w.toml", "--device", "numpy"]
    made = json.loads(out(capsys, *arguments, "--json"))
    (row,) = made["neurons"]
    assert (row["spikes"], row["spikes_whole_run"], len(made["spike_times_s"][0])) == (10, 20, 20)
    assert row["rate_hz"] == pytest.approx(10 / 0.03)
    text = out(capsys, *arguments)
    assert "spikes, rate and first spike from 15 to 45 ms" in text
    assert text.split()[-3:] == ["10", "333.3", "18"]
    text = out(capsys, "compare", "lif", "--protocol", "w.toml", "--device", "numpy")
    assert "333.3" in text


def test_reduce_prints_what_it_saves(capsys, here):
    text = out(capsys, "reduce", "kepecs_wang_2000", "--method", "euler", "--out", "r.toml")
    assert "alpha_1" in text and "0.8644" in text
    table = json.loads(out(capsys, "reduce", "kepecs_wang_2000", "--json"))
    assert table["coefficients"]["beta_1"] > 0
    assert "alpha_2" in out(capsys, "show", "r.toml")


def test_reduce_cuts_spikes(capsys, here):
    (here / "strong.toml").write_text(
        'duration = "2 second"\n[[stimuli]]\ninto = "dendrite"\nshape = "ou"\n'
        'mean = "1 uA/cm**2"\nsigma = "0.8 uA/cm**2"\ntau = "10 ms"\nseed = 1\n'
    )
    cut = ["reduce", "kepecs_wang_2000", "--to", "spike_cut", "--fit", "strong.toml"]
    text = out(capsys, *cut, "--out", "cut.toml")
    assert "t_spike" in text and "sd left" in text
    table = json.loads(out(capsys, *cut, "--json"))
    assert table["spikes"] > 30 and table["table"][0]["state"] == "t_spike"
    assert "v_d_before" in (here / "cut.toml").read_text()


@pytest.mark.filterwarnings("default::dendrosim.errors.DendrosimWarning")
def test_compare_on_a_real_recording(capsys, here):
    """Done-item 4 of the main job, with the fast-spiking cell; numpy would take minutes."""
    if not FSI.is_file():
        pytest.skip(f"{FSI} is not beside this checkout")
    counts = [2, 3, 2, 4, 16, 28, 37, 48, 55, 68, 76, 83, 91, 99, 105, 114, 117]  # data/README.md
    whole = ["--set", "measure.start=0 ms", "--set", "measure.stop=3 s"]
    for window, heading in (([], "from 146.85 to 646.85 ms"), (whole, "from 0 to 3000 ms")):
        assert main(["compare", "kepecs_wang_2000", "--protocol", "recorded", "--recording",
                     str(FSI), "--dt", "0.05 ms", "--out", "folder", *window]) == 0  # fmt: skip
        text, notes = capsys.readouterr()
        assert "epochs of the command: 146.85 to 646.85 ms: -100 to 300 pA" in " ".join(
            text.split()
        )
        told = "holds 3 epochs of the command" if window else "the command has 3 epochs"
        assert [line for line in notes.splitlines() if line.startswith("dendrosim: note: ")]
        assert told in notes
        assert f"Spikes in each sweep {heading}" in text
        rows = [line.split() for line in text.splitlines()]
        rows = [row for row in rows if len(row) == 4 and row[0].isdigit()]
        if window:
            assert [int(row[2]) for row in rows] == counts
    assert (here / "folder/comparison.png").is_file()


EARLY = {
    "a file is no folder": ["compare", "mine.toml", "--protocol", "constant", "--out", "mine.toml"],
    "nor has it any": ["compare", "mine.toml", "--protocol", "constant", "--out", "mine.toml/a"],
    "no figure without a potential": ["run", "blind.toml", "constant", "--out", "a.png"],
    "no demonstration in a file": ["demo", "--out", "mine.toml"],
}


@pytest.mark.parametrize("name", EARLY)
def test_what_cannot_be_written_is_told_before_the_run(name, capsys, here, monkeypatch):
    from dendrosim.comparison import result
    from dendrosim.reduction import reduction
    from dendrosim.simulation import run

    def too_late(*_, **__):
        raise AssertionError("it ran")

    for room, function in (
        (result, "compare"),
        (run, "simulate"),
        (reduction, "reduce"),
    ):
        monkeypatch.setattr(room, function, too_late)
    (here / "blind.toml").write_text(MODEL.replace('potentials = { soma = "v" }', ""))
    assert main(EARLY[name]) == 2
    assert capsys.readouterr().err.startswith("dendrosim: --out ")
    assert (here / "mine.toml").read_text() == MODEL


BAD = {
    "no such model": ["run", "kepecs", "constant"],
    "no such variant": ["run", "lif:foo", "constant"],
    "no such protocol": ["run", "lif", "constnat"],
    "no such device": ["run", "lif", "constant", "--device", "gpu"],
    "no such method": ["run", "mine.toml", "constant", "--method", "rk5"],
    "negative dt": ["run", "mine.toml", "constant", "--dt", "-1 ms"],
    "dt without unit": ["run", "mine.toml", "constant", "--dt", "0.1"],
    "wrong unit": ["run", "mine.toml", "constant", "--set", "g=3 mV"],
    "missing unit": ["run", "mine.toml", "constant", "--set", "g=3"],
    "nan": ["run", "mine.toml", "constant", "--set", "g=nan mS/cm**2"],
    "unknown name": ["run", "mine.toml", "constant", "--set", "gg=3 mS/cm**2"],
    "not a setting": ["run", "mine.toml", "constant", "--set", "g"],
    "code in a value": ["run", "mine.toml", "constant", "--set", "g=__import__('os') mS/cm**2"],
    "unknown variable": ["run", "mine.toml", "constant", "--record", "w"],
    "not TOML": ["run", "bad.toml", "constant"],
    "unknown key": ["show", "key.toml"],
    "code in a model": ["show", "code.toml"],
    "missing file": ["show", "nowhere.toml"],
    "missing recording": ["compare", "lif", "--protocol", "recorded", "--recording", "no.abf"],
    "empty recording": ["compare", "lif", "--protocol", "recorded", "--recording", "empty.abf"],
    "no recording": ["run", "kepecs_wang_2000", "recorded"],
    "wrong ending": ["run", "mine.toml", "constant", "--out", "a.txt"],
    "no folder": ["run", "mine.toml", "constant", "--out", "none/a.nc"],
    "no dendrite": ["run", "mine.toml", "dendritic_step"],
    "no command": ["simulate"],
    "no argument": ["run"],
    "divergence": ["run", "pinsky_rinzel_1994", "constant", "--method", "euler", "--dt", "1 ms",
                   "--device", "numpy", "--out", "a.nc"],
    "two protocols": ["run", "mine.toml", "constant", "--protocol", "step"],
    "threads on numpy": ["run", "mine.toml", "constant", "--threads", "2", "--device", "numpy"],
    "negative seed": ["run", "mine.toml", "ou_noise", "--seed", "-1"],
    "reduction of a discrete model": ["reduce", "lif"],
    "unknown reduction": ["reduce", "kepecs_wang_2000", "--method", "magic"],
    "unknown rung": ["reduce", "kepecs_wang_2000", "--to", "magic"],
    "a method of a cut": ["reduce", "kepecs_wang_2000", "--to", "spike_cut", "--method", "exact"],
    "one rung of a ladder": ["reduce", "kepecs_wang_2000", "--ladder", "--to", "adaptive"],
    "a seed of no search": ["reduce", "kepecs_wang_2000", "--seed", "1"],
    "a recording for nothing": ["reduce", "kepecs_wang_2000", "--recording", "cell.abf"],
    "a threshold within a spike": ["reduce", "kepecs_wang_2000", "--threshold", "55 mV"],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(name, capsys, here):
    (here / "bad.toml").write_text("title = [")
    (here / "key.toml").write_text(MODEL.replace("title =", "titel ="))
    code = "dv/dt = __import__('os').system('touch hacked')*volt/second : volt"
    (here / "code.toml").write_text(MODEL.replace("dv/dt = (g*(E - v) + I_s)/C : volt", code))
    (here / "empty.abf").write_bytes(b"")
    before = sorted(p.name for p in here.iterdir())
    assert main(BAD[name]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dendrosim: ") and captured.err.count("\n") == 1
    assert "Traceback" not in captured.err and len(captured.err) < 700
    assert sorted(p.name for p in here.iterdir()) == before


def test_the_process_ends_with_2_and_help_is_quick(here):
    """In a process of its own: no traceback, nothing from Brian2's exception hook."""
    run = subprocess.run(
        [sys.executable, "-m", "dendrosim", "run", "lif", "constant", "--set", "beta=1 mV"],
        capture_output=True, text=True, cwd=here, env=os.environ, check=False,
    )  # fmt: skip
    assert run.returncode == 2 and run.stdout == "" and run.stderr.count("\n") == 1
    code = "import sys, dendrosim.cli.commands as c; c.main(['--help']); print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert not loaded & {"brian2", "numpy", "torch", "pandas", "xarray", "matplotlib", "scipy"}


# What the terminal does


def run_dendrosim(*arguments, folder, **options):
    """Run a command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "dendrosim", *arguments], cwd=folder, check=False,
        stderr=subprocess.PIPE, timeout=600, **options,
    )  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("arguments", [["models", "--json"], ["show", "lif"], ["--help"]])
def test_an_output_that_is_full_is_told(arguments, tmp_path):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = run_dendrosim(*arguments, folder=tmp_path, stdout=full)
    assert done.returncode == 2
    told = done.stderr.decode()
    assert len(told.splitlines()) == 1 and "output cannot be written (No space left" in told


def test_a_name_that_is_not_utf_8_is_a_name(tmp_path):
    text = (ROOT / "models" / "lif.toml").read_bytes()
    (tmp_path / os.fsdecode(b"caf\xe9.toml")).write_bytes(text)
    done = run_dendrosim("show", b"./caf\xe9.toml", folder=tmp_path, stdout=subprocess.PIPE)
    assert done.returncode == 0 and b"caf\\udce9" in done.stdout
    for arguments in (["show", b"./no\xe9.toml"], [b"sh\xe9w"], ["show", b"no\xe9"]):
        done = run_dendrosim(*arguments, folder=tmp_path, stdout=subprocess.PIPE)
        assert done.returncode == 2 and done.stdout == b""
        assert len(done.stderr.splitlines()) == 1 and b"\\udce9" in done.stderr
