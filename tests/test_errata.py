"""Paper's numbers that no other test covers, and that every line of the errata has its test."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import dendrosim as ds
from dendrosim.architecture import n_parameters
from dendrosim.learn.tasks import TASKS

ROOT = Path(__file__).parents[1]
TOLD = tomllib.loads((ROOT / "docs" / "errata.toml").read_text(encoding="utf-8"))


def test_sizes_of_the_data_sets():
    """The published files (shapes printed by the codes that read them), not either paper's text."""
    shd, ssc = TASKS["shd"], TASKS["ssc"]
    train, validation, test = shd.samples
    assert (train + validation, test, shd.shape[-1]) == (8_156, 2_264, 20)
    assert (ssc.samples, ssc.shape[-1]) == ((75_466, 9_981, 20_382), 35)


#: LRMM, Table 2: full model, and each ablation with its printed fall.
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


def test_the_brf_network_is_recurrent():
    """68,874: no biases of the neurons, but two trained numbers each."""
    trained = [name for name, p in ds.load_model("brf").parameters.items() if p.trainable]
    with_loop, without = (
        n_parameters("1-256-10", own) - 256 + 256 * len(trained) for own in (True, False)
    )
    assert (with_loop, without) == (68_874, 3_338)


# --- the page -------------------------------------------------------------------------------

#: Marks of a test that `make test` would not run.
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
    places = [(entry["paper"], entry["where"], entry["printed"]) for entry in TOLD["errata"]]
    assert len(places) == len(set(places))
