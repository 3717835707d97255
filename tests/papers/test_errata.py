"""Published numbers that no other test covers, and the check that every erratum has a test."""

from __future__ import annotations

import ast
import tomllib

import pytest
from places import ROOT

import dendrosim as ds
from dendrosim.learn import load_recipe
from dendrosim.learn.tasks import TASKS
from dendrosim.learn.training.recipe_parts import Schedule
from dendrosim.learn.training.schedules import rate_factor
from dendrosim.networks.architecture import n_parameters

TOLD = tomllib.loads((ROOT / "docs" / "errata.toml").read_text(encoding="utf-8"))


def test_sizes_of_the_data_sets():
    """Shapes as printed by the codes that read the published files, not the text of a paper."""
    shd, ssc = TASKS["shd"], TASKS["ssc"]
    train, validation, test = shd.samples
    assert (train + validation, test, shd.shape[-1]) == (8_156, 2_264, 20)
    assert (ssc.samples, ssc.shape[-1]) == ((75_466, 9_981, 20_382), 35)


#: LRMM, Table 2: full model, and each ablation with its printed decrease.
ABLATIONS = {
    "PS-MNIST": (96.52, {86.11: 9.41, 93.74: 2.78, 92.35: 4.17}),
    "SHD": (94.70, {86.28: 8.42, 92.47: 2.23, 90.81: 3.89}),
}


def test_differences_of_the_ablations():
    wrong = {
        (name, left): round(full - left, 2)
        for name, (full, rows) in ABLATIONS.items()
        for left, fall in rows.items()
        if round(full - left, 2) != fall
    }
    assert wrong == {("PS-MNIST", 86.11): 10.41}


#: Binary Adding, T = 100.  The benchmark is the table in the README of neuroseqbench (commit
#: 068ea61), recurrent networks; the paper's values are the rows of LRMM's Table 1 that cite it.
BENCHMARK = {
    "LIF": 53.35, "PLIF": 53.25, "ALIF": 68.00, "adLIF": 99.05, "GLIF": 63.60, "TC-LIF": 19.90,
    "LM-H": 96.10, "CLIF": 64.30, "DH-LIF": 99.35,
}  # fmt: skip
TABLE_1 = {
    "LIF": 53.35, "PLIF": 53.25, "adLIF": 68.00, "ALIF": 99.05, "GLIF": 63.60, "TC-LIF": 19.90,
    "LM-H": 96.10, "CLIF": 64.30, "DH-LIF": 99.35,
}  # fmt: skip


def test_alif_and_adlif_are_exchanged():
    moved = {name for name, accuracy in TABLE_1.items() if BENCHMARK[name] != accuracy}
    assert moved == {"ALIF", "adLIF"}
    assert (TABLE_1["ALIF"], TABLE_1["adLIF"]) == (BENCHMARK["adLIF"], BENCHMARK["ALIF"])


def test_the_brf_network_is_recurrent():
    """68,874: without biases of the neurons, but with two trained numbers for each."""
    trained = [name for name, p in ds.load_model("brf").parameters.items() if p.trainable]
    with_loop, without = (
        n_parameters("1-256-10", own) - 256 + 256 * len(trained) for own in (True, False)
    )
    assert (with_loop, without) == (68_874, 3_338)


def test_the_radlif_network_is_recurrent():
    """3,895,356 on SHD: as 3.9 M is also given for SSC, both networks are equally recurrent."""
    trained = [name for name, p in ds.load_model("radlif").parameters.items() if p.trainable]

    def counted(classes, own):
        sizes = f"700-1024-1024-{classes}"
        by_normalisation = 1  # a gain; its offset is counted as the bias
        readout = 2  # per class: a leak and a gain
        neurons = 2048 * (len(trained) + by_normalisation)
        return n_parameters(sizes, own) + neurons + readout * classes

    assert counted(20, True) == 3_895_356
    assert (round(counted(35, True) / 1e6, 1), round(counted(35, False) / 1e6, 1)) == (3.9, 1.8)


def test_the_recipes_start_where_the_released_code_does():
    """Table 5 of the AAAI version, rounded to a digit; its README gives the raw values."""
    for task, betas in (("s_mnist", (-0.8, 0.4)), ("ps_mnist", (-0.2, 0.8))):
        recipe = load_recipe(f"{task}_lstm_lif")
        for layer in recipe.layers:
            model = ds.load_model(layer.model).with_(parameters=dict(layer.parameters))
            values = {name: float(value) for name, value in model.values().items()}
            assert (round(values["beta_1"], 1), round(values["beta_2"], 1)) == betas
            assert (values["gamma"], values["V_th"]) == (0.5, 1)


def test_the_rate_does_not_fall_after_the_end():
    schedule = Schedule(rule="milestones", epochs=(60, 90, 120), factor=0.1)
    falls = [rate_factor(schedule, 199, 200, ()), rate_factor(schedule, 99, 100, ())]
    assert falls == pytest.approx([1e-3, 1e-2])


# --- the page -------------------------------------------------------------------------------

#: Markers of tests that `make test` does not run.
LEFT_OUT = ("pytest.mark.skip", "pytest.mark.xfail", "pytest.mark.slow")

LINES = [(entry["where"], test) for entry in TOLD["errata"] for test in entry["tests"]]


@pytest.mark.parametrize(("where", "test"), LINES)
def test_a_line_of_the_errata_has_its_test(where, test):
    file, *path = test.split("::")
    found = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for name in path:
        (node,) = (n for n in found if getattr(n, "name", None) == name)
        marks = [ast.unparse(mark) for mark in node.decorator_list]
        assert not any(mark.startswith(LEFT_OUT) for mark in marks)
        found = node.body
    assert node.name.startswith("test_")


def test_each_line_says_what_holds():
    for entry in TOLD["errata"]:
        assert entry.keys() == {"paper", "where", "printed", "right", "tests"}
        assert entry["paper"] in TOLD["papers"] and entry["tests"]
    for entry in TOLD["wording"]:
        assert entry.keys() == {"paper", "slips"} and entry["paper"] in TOLD["papers"]
    places = [(entry["paper"], entry["where"], entry["printed"]) for entry in TOLD["errata"]]
    assert len(places) == len(set(places))
