"""A posterior is that of a formula where there is one, and says what the data do not determine."""

from __future__ import annotations

import contextlib
import json
import pickle
import random
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import norm, truncnorm

import dendrosim as ds
from dendrosim.cli.commands import commands
from dendrosim.fitting.free import read_free
from dendrosim.fitting.posterior import infer, report
from dendrosim.fitting.posterior.infer import effective_part
from dendrosim.fitting.posterior.narrowing import everything, narrow, tempered

#: A membrane without channels: its steady potential is E_L + I/g_L.
PASSIVE = """
title = "Passive membrane"
kind = "continuous"
inputs = { soma = "I" }
potentials = { soma = "v" }
method = "exponential_euler"
dt = "0.5 ms"
equations = '''
dv/dt = (g_L*(E_L - v) + I)/C_m : volt
I : amp/meter**2
'''
[parameters]
C_m = "1 uF/cm**2"
g_L = "0.2 mS/cm**2"
E_L = "-70 mV"
[initial]
v = "-70 mV"
"""
#: The mean is taken after twelve time constants, so the rest of the step is 1e-5 of it.
HELD = ds.Protocol(
    "80 ms",
    [ds.Stimulus("soma", "constant", amplitude="0 uA/cm**2")],
    measure={"start": "60 ms"},
    name="held",
)


@pytest.fixture(scope="module")
def passive(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "passive.toml"
    path.write_text(PASSIVE)
    return ds.load_model(path)


def fitted(model, free, protocol=HELD, **options):
    given = {"features": ["mean_potential"], "device": "numpy", "population": 4, "generations": 1,
             "refine": False, "progress": False}  # fmt: skip
    return ds.fit(model, model, free, protocol=protocol, **given | options)


def posterior(fit, **options):
    return fit.posterior(**{"n": 256, "progress": False} | options)


def test_the_posterior_of_a_linear_feature_is_the_normal_distribution(passive):
    """The potential is E_L and 1 mV is its spread: mean -70 mV, standard deviation 1 mV.

    Bounds of a network from 256 candidates, fixed before: 0.3 of the deviation, and 25 % of it.
    """
    p = posterior(fitted(passive, {"E_L": "-90..-60 mV"}, generations=8))
    row = p.table.loc["E_L"]
    assert abs(row["mean"] + 70) < 0.3
    assert abs(row["sd"] - 1) < 0.25
    assert abs(row["part of range"] - 2 * norm.ppf(0.95) / 30) < 0.25 * 2 * norm.ppf(0.95) / 30
    assert p.efficiency > 0.7
    assert p.notes == ()
    (check,) = p.check.to_dict("records")
    assert check["unit"] == "mV" and check["inside"]
    np.testing.assert_allclose(check["target"], -70, atol=1e-3)
    assert abs(check["5 %"] + 70 + norm.ppf(0.95)) < 0.5


@pytest.mark.slow
def test_a_bound_cuts_the_normal_distribution(passive):
    """The range ends half a spread above the target: a truncated normal distribution."""
    p = posterior(fitted(passive, {"E_L": "-90..-69.5 mV"}), n=512)
    exact = truncnorm(-20, 0.5, loc=-70)
    assert abs(p.table["mean"]["E_L"] - exact.mean()) < 0.3 * exact.std()
    assert abs(p.table["sd"]["E_L"] / exact.std() - 1) < 0.25
    assert p.samples["E_L"].max() <= -69.5


def test_two_values_of_which_a_sum_matters_vary_together(passive):
    """The potential is E_L + I/g_L; each term alone is as wide as its range."""
    p = posterior(
        fitted(passive, {"E_L": "-80..-60 mV", "amplitude": "-2..2 uA/cm**2"}), n=512, samples=1000
    )
    total = p.samples["E_L"] + p.samples["amplitude"] / 0.2
    assert abs(total.mean() + 70) < 0.3
    assert abs(total.std() - 1) < 0.25
    assert p.correlation.loc["E_L", "amplitude"] < -0.95
    told = " ".join(p.notes)
    assert "E_L and amplitude vary together" in told
    assert "do not determine E_L" in told and "do not determine amplitude" in told
    # a prior that is uniform where the sum is right: its standard deviation is 20 mV/sqrt(12)
    assert abs(p.table["sd"]["E_L"] / (20 / np.sqrt(12)) - 1) < 0.25


@pytest.fixture(scope="module")
def small(passive):
    return fitted(passive, {"E_L": "-90..-60 mV"})


def test_a_seed_gives_the_same_samples_and_nothing_else_changes(
    small, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    options = {"n": 64, "samples": 100, "checked": 20}
    np.random.seed(3)  # noqa: NPY002 (the global state is what is tested)
    states = []
    for _ in range(2):
        states.append((
            random.getstate(), np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype(),
            torch.is_grad_enabled(), np.geterr(),
        ))  # fmt: skip
        if len(states) == 1:
            with torch.no_grad():
                first = posterior(small, seed=5, **options)
    assert states[0] == states[1]
    torch.manual_seed(11)
    again = posterior(small, seed=5, **options)
    pd.testing.assert_frame_equal(first.samples, again.samples, check_exact=True)
    assert first.to_json() == again.to_json()
    assert not first.samples.equals(posterior(small, seed=6, **options).samples)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_the_bar_moves_while_the_network_trains_and_says_so(small, monkeypatch):
    told = []

    @contextlib.contextmanager
    def bar(show, what):
        yield lambda fraction, stage: told.append((fraction, stage))

    monkeypatch.setattr(infer, "staged_bar", bar)
    p = posterior(small, n=64, samples=100, checked=20)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    epochs = [(f, s) for f, s in told if "training the density estimate, epoch" in s]
    assert len(epochs) == p.meta["epochs"] == int(epochs[-1][1].split()[-1])
    assert len({fraction for fraction, _ in epochs}) == len(epochs)
    assert told[0][1] == "round 1" and told[-1][1] == "checking samples"


def test_the_files_and_the_text_say_the_same(small, tmp_path):
    p = posterior(small, n=64, samples=100, checked=20)
    files = p.save(tmp_path / "new" / "folder")
    assert [path.name for path in files] == ["posterior.csv", "posterior.json", "posterior.png"]
    np.testing.assert_allclose(pd.read_csv(files[0])["E_L"], p.samples["E_L"])
    saved = json.loads(files[1].read_text())
    assert saved == json.loads(json.dumps(p.to_json()))
    assert saved["meta"]["n"] == 64 and saved["values"][0]["name"] == "E_L"
    assert files[2].read_bytes().startswith(b"\x89PNG")
    assert "E_L" in p.text(width=60) and "1 of 1 features of the target are met." in str(p)
    assert max(map(len, p.text(width=60).splitlines())) <= 60
    assert "E_L = -7" in repr(p)


WRONG = [
    ({"n": 32}, "n = 32 should be a whole number, 64 or larger"),
    ({"n": 1000}, "n = 1000: a Sobol sequence is balanced only for a power of two, such as 512"),
    ({"n": 256.0}, "n = 256.0 should be a whole number"),
    ({"n": 1 << 21}, "is more than"),
    ({"samples": 0}, "samples = 0 should be a whole number, 100 or larger"),
    ({"checked": 1}, "checked = 1"),
    ({"seed": -1}, "seed = -1"),
    ({"progress": "yes"}, "progress"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=str)
def test_wrong_arguments_are_told(change, told, small):
    with pytest.raises(ds.DendrosimError) as error:
        posterior(small, **change)
    assert told in str(error.value)


def test_without_sbi_the_extra_is_named(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "dendrosim.fitting.posterior.neural", None)
    monkeypatch.delattr("dendrosim.fitting.posterior.neural", raising=False)
    with pytest.raises(ds.DendrosimError, match=r"needs sbi: pip install 'dendrosim\[posterior\]'"):
        posterior(small)


def test_a_pickled_fit_says_that_it_has_no_posterior(small):
    again = pickle.loads(pickle.dumps(small))
    assert again.values.equals(small.values)
    with pytest.raises(ds.DendrosimError, match="no longer has its target"):
        posterior(again)


def test_features_that_never_change_are_refused(passive):
    fit = fitted(passive, {"C_m": "0.5..2 uF/cm**2"})  # the steady potential does not depend on it
    with pytest.raises(ds.DendrosimError, match="all candidates have the same features"):
        posterior(fit)


def test_another_cost_and_candidates_that_diverge_are_told(passive):
    """Euler's method diverges where a step is longer than two time constants: above 4 mS/cm^2."""
    model = passive.with_(initial={"v": "-60 mV"})
    fit = fitted(model, {"g_L": "0.02..20 mS/cm**2"}, method="euler", cost="voltage")
    p = posterior(fit, n=64, samples=100, checked=20)
    told = " ".join(p.notes)
    assert "The cost of the fit has voltage" in told
    assert "simulations diverged" in told
    # most were drawn from all of the range, of which the part above is known
    above = np.log(20 / 4) / np.log(20 / 0.02)
    assert 0.5 * above < p.meta["diverged"] / p.meta["simulated"] < 1.5 * above
    # the network of so few candidates blurs the edge; the prior has twice as much above it
    assert (p.samples["g_L"] > 4).mean() < above / 2


def test_the_command_prints_and_writes_the_posterior(passive, tmp_path):
    model = tmp_path / "passive.toml"
    model.write_text(PASSIVE)
    line = [
        "fit", str(model), "--to", str(model), "--protocol", "constant", "--free",
        "E_L=-90..-60 mV", "--feature", "mean_potential", "--device", "numpy", "--population", "4",
        "--generations", "1", "--no-refine", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    done = CliRunner().invoke(commands, [*line, "--posterior", "100"])
    assert isinstance(done.exception, ds.DendrosimError)
    assert not (tmp_path / "out").exists()  # before the fit
    done = CliRunner().invoke(commands, [*line, "--posterior", "64", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["posterior"]["values"][0]["name"] == told["values"][0]["name"] == "E_L"
    assert (tmp_path / "out" / "posterior.csv").is_file()


# Parts


def test_rounds_find_a_narrow_valley_of_any_direction():
    """Law: the posterior of a Gaussian likelihood in normal scores is Gaussian, in closed form."""
    directions = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]]) / 0.02
    target = np.array([0.3, -0.4, 0.2])

    def misfit(x):
        return 0.5 * np.sum(((norm.ppf(x) - target) @ directions.T) ** 2, axis=1)

    found = narrow(misfit, 3, 2048, np.random.default_rng(0))
    assert found.complete and found.diverged == 0
    precision = directions.T @ directions + np.eye(3)
    exact = np.linalg.inv(precision)
    centre = exact @ directions.T @ directions @ target
    wide = np.linalg.inv(directions.T @ directions / 4 + np.eye(3))
    # of the estimate from some 100 effective candidates
    np.testing.assert_allclose(found.proposal.centre, centre, atol=0.5 * np.sqrt(exact.max()))
    covariance = found.proposal.factor @ found.proposal.factor.T
    ratio = np.linalg.eigvals(np.linalg.solve(wide, covariance)).real
    assert (ratio > 0.5).all() and (ratio < 2).all()


def test_the_power_leaves_so_many_candidates():
    rng = np.random.default_rng(0)
    misfit = 0.5 * (rng.normal(0, 30, 1000)) ** 2
    power, weights = tempered(np.zeros(1000), misfit, 100)
    assert 0 < power < 1 and 1 / np.sum(weights**2) >= 100
    power, _ = tempered(np.zeros(1000), misfit / 1e4, 100)
    assert power == 1


def test_a_proposal_has_the_density_that_it_says():
    proposal = everything(2)
    t = proposal.draw(256, np.random.default_rng(0))
    np.testing.assert_allclose(proposal.log_prior(t), 0, atol=1e-12)
    assert abs(proposal.positions(t).mean() - 0.5) < 0.01


def test_the_effective_part_is_that_of_the_weights():
    assert effective_part(np.zeros(8)) == pytest.approx(1)
    assert effective_part(np.r_[0.0, np.full(7, -np.inf)]) == pytest.approx(1 / 8)
    assert effective_part(np.full(4, -np.inf)) == 0


def test_values_at_a_bound_and_fitted_values_elsewhere_are_named(passive):
    free = read_free({"E_L": "-90..-60 mV"}, passive, [HELD])
    x = np.linspace(0.9, 1, 100)[:, None]
    samples = pd.DataFrame({"E_L": -90 + 30 * x[:, 0]})
    (note,) = report.sample_notes(["E_L"], x)
    assert "highest value of its range" in note and note.startswith("10%")
    (note,) = report.fitted_notes(free, samples, pd.Series([-70.0]))
    assert "-70 mV, is below 100.0%" in note
    assert report.fitted_notes(free, samples, pd.Series([-61.0])) == []
