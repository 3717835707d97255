"""``--set NAME=VALUE``: each name means one place, and one that means several is refused."""

from __future__ import annotations

import brian2
import pytest

from dendrosim.cli.commands import main
from dendrosim.cli.settings import prepare
from dendrosim.errors import DendrosimError

#: With a time constant of its own, as the alpha function and the noise below have.
MODEL = """
title = "Leaky membrane"
kind = "continuous"
inputs = { soma = "I_s" }
method = "euler"
dt = "0.1 ms"
equations = \"\"\"
dv/dt = (E - v)/tau + I_s/C : volt
I_s : amp/meter**2
\"\"\"
[parameters]
E = "-65 mV"
tau = "10 ms"
C = "1 uF/cm**2"
[initial]
v = "-65 mV"
"""
PROTOCOL = """
title = "Two currents"
duration = "20 ms"
[[stimuli]]
into = "soma"
shape = "alpha"
amplitude = "[1, 2] uA/cm**2"
tau = "5 ms"
[[stimuli]]
into = "soma"
shape = "ou"
sigma = "1 uA/cm**2"
tau = "3 ms"
"""


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Return the models and the protocol after settings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text(MODEL)
    (tmp_path / "p.toml").write_text(PROTOCOL)

    def settings(*given, models=("m.toml",), protocol="p.toml"):
        return prepare(models, protocol, None, given)

    return settings


def taus(models, how):
    return [
        float(value / brian2.ms)
        for value in (models[0].parameters["tau"].value, *(s.values["tau"] for s in how.stimuli))
    ]


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("parameters.tau", [7, 5, 3]),
        ("stimuli.0.tau", [10, 7, 3]),
        ("stimuli.1.tau", [10, 5, 7]),
    ],
)
def test_a_setting_changes_the_place_it_names_and_no_other(given, place, changed):
    assert taus(*given(f"{place}=7 ms")) == pytest.approx(changed)


def test_a_name_that_several_places_have_is_refused_with_their_names(given):
    with pytest.raises(DendrosimError) as error:
        given("tau=7 ms")
    assert "parameters.tau, stimuli.0.tau, stimuli.1.tau" in str(error.value)
    with pytest.raises(DendrosimError, match=r"write one of stimuli.0.start, stimuli.1.start"):
        given("start=1 ms")


def test_a_name_that_one_place_has_is_enough(given):
    (model,), how = given("E=-70 mV", "sigma=2 uA/cm**2", "initial.v=-60 mV", "duration=30 ms")
    assert model.parameters["E"].value == -70 * brian2.mV
    assert model.initial["v"] == -60 * brian2.mV
    assert how.stimuli[1].values["sigma"] == 0.02 * brian2.amp / brian2.meter**2
    assert how.duration == 30 * brian2.ms


def test_a_parameter_of_several_models_is_one_name(given):
    models, _ = given("parameters.tau=7 ms", models=("m.toml", "lif", "m.toml"))
    assert [float(m.parameters["tau"].value) for m in (models[0], models[2])] == [7e-3, 7e-3]
    assert "tau" not in models[1].parameters


def test_grids_change_their_length_together(given):
    _, how = given("amplitude=[1, 2, 3] uA/cm**2", "sigma=[1, 2, 3] uA/cm**2")
    assert how.size == 3
    _, how = given("stimuli.0.start=[1, 2, 3] ms", "amplitude=1 uA/cm**2")
    assert how.size == 3


def test_a_parameter_may_be_called_duration(given, tmp_path):
    (tmp_path / "d.toml").write_text(MODEL.replace("tau", "duration"))
    with pytest.raises(DendrosimError, match=r"parameters.duration, protocol.duration$"):
        given("duration=7 ms", models=["d.toml"])
    (model,), how = given("protocol.duration=30 ms", models=["d.toml"])
    assert how.duration == 30 * brian2.ms and model.parameters["duration"].text == "10 ms"


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("seed=4", "seed", 4),
        ("independent=true", "independent", True),
        ("stimuli.1.seed=5", "seed", 5),
    ],
)
def test_options_of_noise_are_read_as_in_a_file(given, setting, key, value):
    assert given(setting)[1].stimuli[1].options[key] is value


@pytest.mark.parametrize(("text", "sweeps"), [("[2, 0]", [2, 0]), ("3", [3])])
def test_sweeps_of_a_recording_too(given, text, sweeps):
    _, how = given(f"sweeps={text}", protocol="recorded")
    assert how.stimuli[0].options["sweeps"] == sweeps


@pytest.mark.parametrize(
    ("text", "places"), [("dendrite", ("dendrite",)), ('["soma", "I_d"]', ("soma", "I_d"))]
)
def test_a_current_goes_elsewhere(given, text, places):
    assert given(f"stimuli.0.into={text}")[1].stimuli[0].into == places


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("sigm=1", "did you mean 'sigma'?"),
        ("taus=1 ms", "did you mean 'tau'?"),
        ("parameters.taus=1 ms", "did you mean 'parameters.tau'?"),
        ("v=-60 mV", "did you mean 'initial.v'?"),
        ("initial.w=1", "did you mean 'initial.v'?"),
        ("stimuli.2.tau=1 ms", "did you mean 'stimuli."),
        ("stimuli.0.shape=ramp", "no such value in m and p"),
        ("seed=abc", "p.toml: stimuli.1: seed = 'abc' should be a whole number from 0"),
        ("independent=yes", "should be true, false or numbers"),
        ("stimuli.0.tau=1 mV", "p.toml: stimuli.0: tau: '1 mV'"),
    ],
)
def test_a_wrong_setting_is_told(given, setting, told):
    with pytest.raises(DendrosimError) as error:
        given(setting)
    assert told in str(error.value)


def test_a_reduction_has_no_stimulus_to_set(capsys):
    """It took the amplitude of a protocol that it does not run, and went on."""
    assert main(["reduce", "kepecs_wang_2000", "--set", "amplitude=1 uA/cm**2"]) == 2
    assert "--set amplitude: no such value in kepecs_wang_2000" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "compare", "generate"])
def test_help_tells_the_forms(command, capsys):
    main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "parameters.tau" in text and "stimuli.0.tau" in text and "initial.v_s" in text


def test_a_number_of_a_stimulus_that_is_not_there_is_told(given):
    _, how = given()
    with pytest.raises(DendrosimError, match=r"p.toml: there is no stimulus 2; valid: 0, 1"):
        how.with_(stimuli={2: {"tau": "1 ms"}})
    with pytest.raises(DendrosimError, match=r"stimuli.0: sigma is not a key of alpha"):
        how.with_(stimuli={0: {"sigma": "1 uA/cm**2"}})
