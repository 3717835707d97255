"""Logged runs: each has its recipe and network in the same folder, and the hits can be verified."""

import json

import pytest
from places import ROOT

from dendrosim import learn
from dendrosim.learn.networks.trained_cells import TrainedCells, load_trained
from dendrosim.learn.tasks import load_task
from dendrosim.learn.training.evaluation import evaluate

FOLDER = ROOT / "benchmarks" / "results" / "training"
RUNS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_recipe_network_and_log_are_of_one_run(path):
    told = json.loads(path.read_text())
    recipe = learn.load_recipe(path.with_suffix(".toml"))
    assert recipe.hash == told["recipe_hash"]
    assert recipe.training.epochs == told["epochs"] == told["epochs_logged"][-1]["epoch"]
    network = load_trained(path.with_suffix(".safetensors"))
    assert network.n_weights == told["weights"]
    assert network.metadata["recipe"] == told["recipe"]
    assert len(told["commit"]) == 40 and "+" not in told["commit"]
    chosen = told["epochs_logged"][told["best_epoch"] - 1]
    assert chosen["validation_accuracy"] == told["validation_accuracy"]
    hits = {device: each["hits"] for device, each in told["evaluated"].items()}
    assert hits["torch"] == told["test_hits"]
    if set(hits.values()) != {told["test_hits"]}:  # only where `verify` says why
        verified = told["verified"]
        assert verified["explained"] and verified["samples"] == told["test_count"]
    assert hits.keys() == ({"torch"} if isinstance(network, TrainedCells) else {"torch", "cpp"})


def test_the_network_still_counts_as_many():
    path = FOLDER / "binary_adding_lif_seed_0.json"
    told = json.loads(path.read_text())
    network = load_trained(path.with_suffix(".safetensors"))
    options = dict(network.metadata["task"])
    task = load_task(options.pop("name"), **options)
    assert evaluate(network, task, "torch", progress=False).hits == told["test_hits"]
