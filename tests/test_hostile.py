"""Bad input of every kind: one sentence that names what is wrong, in no time, and no file left."""

import os
import re
import tempfile
import time

import brian2
import numpy as np
import pytest

import dendrosim as ds
from dendrosim import shelves
from dendrosim.errors import DendrosimError

MODEL = (shelves.shelf("models") / "kepecs_wang_2000.toml").read_text(encoding="utf-8")
LIF = (shelves.shelf("models") / "lif.toml").read_text(encoding="utf-8")
PROTOCOL = (shelves.shelf("protocols") / "step.toml").read_text(encoding="utf-8")


def model(old="", new="", text=MODEL):
    """Load a model file with one change."""
    assert not old or old in text
    return lambda: ds.load_model(written("mine.toml", text.replace(old, new, 1)))


def protocol(old="", new=""):
    """Load a protocol file with one change."""
    assert not old or old in PROTOCOL
    return lambda: ds.load_protocol(written("mine.toml", PROTOCOL.replace(old, new, 1)))


def file(content, load=ds.load_model, name="mine.toml"):
    return lambda: load(written(name, content))


def written(name, content):
    path = shelves.Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"./{name}"


def run(model=None, protocol=None, **options):
    """Simulate with one thing wrong."""
    return lambda: ds.simulate(
        model or ds.load_model("kepecs_wang_2000"),
        protocol or ds.load_protocol("step"),
        **{"progress": False, **options},
    )


def of(name, **values):
    return lambda: ds.load_protocol(name).with_(**values)


def recorded(content):
    def call():
        path = written("cell.abf", content)
        ds.simulate(
            ds.load_model("kepecs_wang_2000"), ds.load_protocol("recorded").with_(file=path)
        )

    return call


def loop():
    shelves.Path("loop.toml").symlink_to("loop.toml")
    ds.load_model("./loop.toml")


def pipe():
    os.mkfifo("pipe.toml")
    ds.load_model("./pipe.toml")


IMPORT = "__import__('os').system('touch pwned')"
STIMULUS = {"into": "soma", "shape": "constant", "amplitude": "1 uA/cm**2"}
HUGE = "1e290 s"

CASES = {
    # files
    "no such model": (lambda: ds.load_model("pinsky_rinzel"), "pinsky_rinzel_1994"),
    "no such protocol": (lambda: ds.load_protocol("stepp"), "did you mean 'step'"),
    "no such file": (lambda: ds.load_model("nowhere/x.toml"), "no such model file"),
    "no such variant": (lambda: ds.load_model("lif:x"), "no variant 'x'"),
    "empty variant": (lambda: ds.load_model("lif:"), "no variant ''"),
    "a folder": (lambda: ds.load_model("./"), "no such model file"),
    "a device": (lambda: ds.load_model("/dev/zero"), "no such model file"),
    "not a name": (lambda: ds.load_model(5), "5 is not the name or the path of a model"),
    "none": (lambda: ds.load_protocol(None), "None is not the name"),
    "bytes": (lambda: ds.load_model(b"lif"), "is not the name"),
    "a null byte": (lambda: ds.load_model("a\0.toml"), "no such model file"),
    "a long name": (lambda: ds.load_model("a" * 5000 + ".toml"), "no such model file"),
    "a path that climbs": (lambda: ds.load_model("../../etc/passwd"), "passwd"),
    "a symbolic loop": (loop, "loop.toml"),
    "a pipe": (pipe, "pipe.toml"),
    "not TOML": (file("{{{"), r"mine\.toml: not TOML"),
    "empty": (file(""), "kind = ''"),
    "twice the same key": (file("kind = 'a'\nkind = 'b'"), "not TOML"),
    "binary": (file(b"\x00\xff\xfe"), "UTF-8"),
    "Latin 1": (file("title = 'é'".encode("latin-1")), "UTF-8"),
    "a number of 5000 digits": (file("dt = " + "9" * 5000), "not TOML"),
    "a megabyte of comment": (file("#" * 1_000_001), "1,000,000 bytes"),
    "a megabyte of text": (file("kind = '" + "x" * 900_000 + "'"), "kind = 'xxx"),
    "deep lists": (file("title = " + "[" * 90_000), "nested too deep"),
    "deep tables": (file("title = " + "[" * 60 + "]" * 60), "nested more than 20"),
    "a dotted key": (file("title" + ".a" * 300_000 + " = 1"), "more than 100 parts"),
    "many keys": (file("\n".join(f"k{i} = 1" for i in range(60_000))), "unknown key 'k0'"),
    # models
    "unknown key": (model("threshold", "treshold"), "did you mean 'threshold'"),
    "a number for text": (model('"rk4"', "4"), "method = 4 should be text"),
    "missing unit": (model('"1 mS/cm**2"', '"1"'), "equation of v_s|equation of I_link"),
    "wrong unit": (model('"1 mS/cm**2"', '"1 mV"'), "equation of"),
    "unknown unit": (model('"1 mS/cm**2"', '"1 furlong"'), r"parameters\.g_c: 'furlong'"),
    "unit of a state": (model('v_s = "-65 mV"', 'v_s = "-65"'), r"initial\.v_s"),
    "unknown variable": (model("g_c*(v_d - v_s)", "g_c*(v_x - v_s)"), "'v_x' .* is not known"),
    "NaN": (model('"1 mS/cm**2"', "nan"), r"parameters\.g_c: nan is not finite"),
    "infinity": (model('"1 mS/cm**2"', "inf"), "not finite"),
    "overflow": (model('"1 mS/cm**2"', '"1e999 mS/cm**2"'), "not finite"),
    "no value": (model('value = "1 mS/cm**2",', ""), "'value' is missing"),
    "negative dt": (model('"0.02 ms"', '"-0.02 ms"'), "dt: -0.02 ms is not a time above 0"),
    "zero dt": (model('"0.02 ms"', '"0 ms"'), "dt: 0 ms is not a time above 0"),
    "a huge grid": (model('"0.15"', '"linspace(0,1,999999999)"'), "999999999"),
    "a huger grid": (model('"0.15"', f'"linspace(0,1,{"9" * 5000})"'), "linspace"),
    "import in a unit": (model('"0.15"', f'"1 {IMPORT}"'), "not a unit"),
    "import in a value": (model('"0.15"', f'"{IMPORT}"'), "not a number"),
    "import in an equation": (model("0.125*exp", f"{IMPORT}*exp"), "not a function|other than"),
    "import in a threshold": (model('"v_s > -20*mV"', f'"{IMPORT}"'), "threshold"),
    "import in an update": (model("beta*U", f"{IMPORT}*U", LIF), "update, U"),
    "import by other letters": (model("0.125*exp", "＿＿import＿＿*exp"), "not ASCII"),
    "an attribute": (model("0.125*exp", "(1).__class__*exp"), "other than arithmetic"),
    "endless whole numbers": (model("0.125*exp", "9**9**9**9*exp"), "9.* out of range"),
    "deep nesting": (model("0.125*exp", "(" * 300 + "1" + ")" * 300 + "*exp"), "beta_n"),
    "deep minus": (model("0.125*exp", "-" * 5000 + "exp"), "beta_n"),
    "a null byte in text": (model("0.125*exp", "0.125\\u0000*exp"), "beta_n"),
    "a C++ keyword": (model("g_c   =", "double ="), "'double' cannot be the name|not known"),
    "a name of Brian2": (model("C_m   =", "N ="), "'N' cannot be the name"),
    "a unit as a name": (model("C_m   =", "mV ="), "'mV' cannot be the name"),
    "a variable as a parameter": (model("C_m   =", "v_s ="), "'v_s' cannot be the name"),
    "an input that is no line": (model('"I_d"', '"I_x"'), "I_x|I_d"),
    "a threshold that is no condition": (model('"v_s > -20*mV"', '"v_s"'), "not a condition"),
    "a threshold in other units": (model('"v_s > -20*mV"', '"v_s > 20"'), "threshold"),
    "an update that compares": (model("int(U > V_th)", "U > V_th", LIF), "is a condition"),
    "a grid that is cut": (model('"0.15"', '"linspace(0, 1"'), "not a number"),
    # protocols
    "protocol: not TOML": (file("[", ds.load_protocol), "not TOML"),
    "protocol: unknown key": (protocol("duration", "durations"), "did you mean 'duration'"),
    "protocol: unknown shape": (protocol('"step"', '"square"'), "unknown shape 'square'"),
    "protocol: unknown value": (protocol("amplitude", "amplitud"), "amplitud"),
    "protocol: wrong unit": (protocol('"800 ms"', '"800 mV"'), "mV"),
    "protocol: NaN": (protocol('"1 uA/cm**2"', "nan"), "nan is not finite"),
    "protocol: import": (protocol('"1 uA/cm**2"', f'"{IMPORT}"'), "not a number"),
    "protocol: negative duration": (protocol('"1000 ms"', '"-1 s"'), "not a time above 0"),
    "protocol: a key of Python": (protocol("into  ", "self  "), "'into'"),
    "protocol: not a value": (of("step", amp="1"), "no stimulus has a 'amp'"),
    "protocol: count": (of("pulse_train", count="2.5"), "count = 2.5"),
    "protocol: seed": (of("ou_noise", seed=-1), "seed = -1"),
    "protocol: window": (of("step", duration="500 ms"), "measured window"),
    # runs
    "unknown device": (run(device="gpu"), "unknown device 'gpu'; valid: "),
    "device none": (run(device=None), "unknown device None"),
    "device list": (run(device=["cpp"]), "unknown device"),
    "threads": (run(threads=0), "threads = 0"),
    "threads of numpy": (run(threads=2, device="numpy"), "threads = 2 needs device 'cpp'"),
    "a million threads": (run(threads=10**6), "threads = 1000000 is more than"),
    "unknown method": (run(method="exponential_eule"), "did you mean 'exponential_euler'"),
    "method list": (run(method=["rk4"]), "unknown method"),
    "a method that cannot": (run(method="exact", device="numpy"), "does not suit"),
    "dt negative": (run(dt="-1 ms"), "dt: -1 ms is not a time above 0"),
    "dt without unit": (run(dt=0.1), "dt: 0.1 has no unit"),
    "dt NaN": (run(dt=float("nan") * brian2.ms), "not finite"),
    "dt grid": (run(dt="[1, 2] ms"), "not a time above 0"),
    "dt too long": (run(dt="2 s"), "longer than the protocol"),
    "dt too short": (run(dt="1e-300 ms"), "more than 10,000,000,000 steps"),
    "duration too long": (
        run(protocol=ds.Protocol(duration=HUGE, stimuli=[ds.Stimulus(**STIMULUS)])),
        "more than 10,000,000,000 steps",
    ),
    "n zero": (run(n=0), "n = 0"),
    "n fraction": (run(n=1.5), "n = 1.5"),
    "n huge": (run(n=10**12), "1,000,000,000,000 neurons"),
    "more than the memory": (run(n=10**6, record=["v_s"]), "record fewer"),
    "record unknown": (run(record=["v_x"]), "cannot record 'v_x'"),
    "record a number": (run(record=5), "record = 5 is not a list of names"),
    "record numbers": (run(record=[5]), "is not a list of names"),
    "record_dt": (run(record_dt="0.03 ms"), "not a multiple of dt"),
    "record_dt long": (run(record_dt="9 s"), "record_dt"),
    "seed": (run(seed=-1), "seed = -1"),
    "seed of text": (run(seed="a"), "seed = 'a'"),
    "a number for a model": (run(model=3), "3 is not a model, nor the name or path of one"),
    "a list for a protocol": (run(protocol=["step"]), r"\['step'\] is not a protocol, nor the"),
    "no such place": (run(protocol=ds.load_protocol("step").with_(into="axon")), "no input 'axon'"),
    "a current in volt": (
        run(protocol=ds.load_protocol("step").with_(amplitude="1 mV")), "amplitude = 1 mV"
    ),
    "it begins after its end": (
        run(protocol=ds.load_protocol("constant").with_(start="9 s")), "is not before"
    ),
    "two grids": (
        lambda: ds.simulate(
            ds.load_model("kepecs_wang_2000").with_(parameters={"phi": "[1, 2]"}),
            ds.load_protocol("step").with_(amplitude="[1, 2, 3] uA/cm**2"),
        ),
        "2 grids, stimuli.0.amplitude of 3 values and parameters.phi of 2",
    ),
    "no time step": (
        lambda: ds.simulate(model('dt          = "1 ms"', "", LIF)(), ds.load_protocol("step")),
        "no time step of its own",
    ),
    "a method of a discrete model": (
        lambda: ds.simulate(ds.load_model("lif"), ds.load_protocol("step"), method="euler"),
        "is discrete",
    ),
    # recordings
    "no recording": (run(protocol=ds.load_protocol("recorded")), "needs the file"),
    "missing recording": (
        run(protocol=ds.load_protocol("recorded").with_(file="no.abf")), "no.abf: there is no"
    ),
    "empty recording": (recorded(b""), r"cell\.abf: the recording is empty"),
    "not a recording": (recorded(b"hello" * 100), r"cell\.abf: not a readable ABF file"),
    "cut recording": (recorded(b"ABF2" + b"\xff" * 5000), r"cell\.abf: not a readable ABF file"),
    "not netCDF": (file("x", ds.load_recording, "a.nc"), r"a\.nc: not a readable HDF5 file"),
    "no netCDF": (lambda: ds.load_recording("a.nc"), "a.nc: there is no such recording"),
}  # fmt: skip


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders that a failing call could write to, and what is in them."""
    for name in ("here", "cache", "temporary", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def look():
        return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}

    return look


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_in_one_sentence_and_leaves_no_file(name, places):
    call, told = CASES[name]
    written_by_the_test = {
        f"here/{n}" for n in ("mine.toml", "cell.abf", "loop.toml", "pipe.toml", "a.nc")
    }
    before = places()
    began = time.perf_counter()
    with pytest.raises(DendrosimError) as error:
        call()
    assert time.perf_counter() - began < 10
    sentence = str(error.value)
    assert re.search(told, sentence), sentence
    assert sentence.isprintable() and len(sentence) < 1000
    assert not re.search("Traceback|Error:|object at 0x", sentence)
    assert places() - before <= written_by_the_test


def test_no_case_runs_code(places):
    for call, _ in CASES.values():
        with pytest.raises(DendrosimError):
            call()
        for link in ("loop.toml", "pipe.toml"):
            shelves.Path(link).unlink(missing_ok=True)
    assert "here/pwned" not in places()


def test_the_files_that_the_cases_change_are_good(places):
    assert model()().states and model(text=LIF)().states and protocol()().stimuli
    assert np.isfinite(float(ds.load_protocol("step").duration))
