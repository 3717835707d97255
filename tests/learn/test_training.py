"""Training: recipes, schedules and losses in closed form; results of a killed run."""

from __future__ import annotations

import csv
import fcntl
import json
import math
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import dendrosim as ds
from dendrosim import DendrosimError, learn, shelves
from dendrosim.learn.networks.trained_cells import load_trained
from dendrosim.learn.tasks import load_task
from dendrosim.learn.tasks.task import Stored, Task
from dendrosim.learn.training.constraints import constraints
from dendrosim.learn.training.draws import read_draw
from dendrosim.learn.training.evaluation import readout_of
from dendrosim.learn.training.initial import initial_network
from dendrosim.learn.training.losses import scores, sums
from dendrosim.learn.training.parallel import World
from dendrosim.learn.training.recipe_parts import Anneal, Readout, Schedule
from dendrosim.learn.training.schedules import annealed, rate_factor
from dendrosim.learn.training.trainer import Trainer
from dendrosim.networks.tensors import read_safetensors

TINY = """
title = "A small LRMM"
reference = "none"
deviations = ["small"]
task = { name = "binary_adding", steps = 12, n_train = 200, n_validation = 50, n_test = 50 }

[[layers]]
model = "lrmm"
n = 8
recurrent = true
weights = { I = "uniform(-3, 3)", F = "torch", O = "xavier" }
bias = { I = -0.5, F = "torch", O = 0 }
dropout = 0.2
limits = { alpha_I = [0.5, 0.96] }
fixed = ["w_O"]
[layers.parameters]
w_I = "uniform(0.2, 1)"
w_IC = "normal(0.8, 0.1)"
w_O = 0.1
w_CM = 0.8

[[layers]]
model = "alif"
n = 6
recurrent = true
self_weights = false
[layers.parameters]
tau_adp = "normal(150, 10)"
b_0 = 0.1

[readout]
rule = "mean"
start = 2
scale = 2.0

[training]
epochs = 3
batch = 30
lr = 0.01
neuron_lr = 0.5
clip = 1.0
label_smoothing = 0.1
optimizer = "adamw"
weight_decay = 0.01

[schedule]
rule = "plateau"
factor = 0.5
patience = 0

[anneal.m]
start = 0.0
end = 1.0
last = 2
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def weights_of(folder):
    return torch.load(folder / "last.pt", weights_only=True)["network"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def same_best(a, b):
    (head, ours), (other, theirs) = (
        read_safetensors(folder / "best.safetensors") for folder in (a, b)
    )
    return head == other and all(np.array_equal(ours[key], theirs[key]) for key in ours | theirs)


def log(folder):
    """Return the log without times."""
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


# --- recipes ------------------------------------------------------------------------------------


def test_a_recipe_is_what_its_file_says(tiny):
    recipe = learn.load_recipe(tiny, ["training.lr=0.02", "layers.0.n=9", "readout.rule=last"])
    assert recipe.name == "tiny"
    assert recipe.training.lr == 0.02
    assert [layer.n for layer in recipe.layers] == [9, 6]
    assert recipe.readout == Readout("last", 2, 2.0)
    assert recipe.task_options["steps"] == 12
    again = learn.load_recipe(recipe)
    assert again.text == recipe.text and again.hash == recipe.hash
    assert learn.load_recipe(tiny).hash != recipe.hash
    assert [la.n for la in learn.load_recipe(tiny, ["layers.n=3"]).layers] == [3, 3]


WRONG = [
    ('rule = "mean"', 'rule = "maen"', "[readout]: rule = 'maen'; did you mean 'mean'?"),
    ("epochs = 3", "", "[training]: has no 'epochs'"),
    ("epochs = 3", "epochs = 2.5", "[training]: epochs = 2.5 should be a whole number"),
    ("epochs = 3", "epochs = 0", "[training]: epochs = 0 should be a finite number from 1"),
    ("lr = 0.01", "lr = nan", "[training]: lr = nan should be a finite number above 0"),
    ("lr = 0.01", "rate = 0.01", "[training]: unknown key 'rate'"),
    ("dropout = 0.2", "dropout = 1.0", "layers.0: dropout = 1.0 should be a finite number from 0"),
    ('model = "alif"', 'model = "alfi"', "did you mean 'alif'?"),
    ("w_CM = 0.8", "w_MM = 0.8", "layers.0: parameters: lrmm has no 'w_MM' as a parameter"),
    ('fixed = ["w_O"]', 'fixed = ["a"]', "lrmm has no 'a' as a trained parameter"),
    ("alpha_I = [0.5, 0.96]", "alpha_I = [1, 0.5]", "should be [lowest, highest]"),
    ("b_0 = 0.1", 'b_0 = "normal(1)"', "b_0 = 'normal(1)' should be normal(mean, sd)"),
    ("w_CM = 0.8", 'w_CM = "orthogonal"', "valid: normal(mean, sd), torch, uniform(low, high)"),
    ('O = "xavier"', 'X = "xavier"', "weights: lrmm has no port 'X'; valid: F, I, O"),
    ("[anneal.m]", "[anneal.w_I]", "no layer has an untrained parameter of this name"),
    ("last = 2", "last = 0", "[anneal.m]: last = 0 is not after first = 0"),
    ('name = "binary_adding", ', "", "[task] has no name"),
    ("last = 2", "last = nan", "[anneal.m]: last = nan should be a finite number"),
    ("end = 1.0", "end = inf", "[anneal.m]: end = inf should be a finite number"),
    ("alpha_I = [0.5, 0.96]", "alpha_I = [0.5, nan]", "should be [lowest, highest]"),
    ('rule = "plateau"', 'rule = "milestones"\nepochs = [2, nan]', "epochs = nan should be a fini"),
    ('rule = "plateau"', 'rule = "milestones"\nepochs = [-3]', "epochs = -3 should be a finite"),
    ("patience = 0", "patience = -1", "[schedule]: patience = -1"),
    ('fixed = ["w_O"]', "fixed = [1]", "fixed = [1] should be a list of names"),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG)
def test_a_wrong_recipe_is_told_by_file_key_and_value(tiny, old, new, told):
    with pytest.raises(DendrosimError) as error:
        learn.load_recipe(changed(tiny, old, new))
    assert told in str(error.value)
    assert "tiny.toml" in str(error.value) or "alif" in told


def test_a_limit_may_be_infinite(tiny):
    recipe = learn.load_recipe(changed(tiny, "alpha_I = [0.5, 0.96]", "alpha_I = [0.5, inf]"))
    assert learn.load_recipe(recipe).layers[0].limits == {"alpha_I": [0.5, math.inf]}


def test_a_model_is_looked_up_beside_the_recipe(tiny, tmp_path, monkeypatch):
    shelf = shelves.shelf("models")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.toml").write_text((shelf / "lrmm.toml").read_text())
    path = tmp_path / "own" / "recipe.toml"
    path.write_text(TINY.replace('model = "lrmm"', 'model = "mine.toml:no_feedback"'))
    hashes = set()
    for place in (tmp_path, tmp_path / "own", Path("/")):
        monkeypatch.chdir(place)
        recipe = learn.load_recipe(path)
        network = initial_network(learn.load_recipe(recipe, ["training.lr=0.1"]), 2, 10, 0)
        assert network.layers[0].model.name == "mine:no_feedback"
        hashes.add(recipe.hash)
    assert len(hashes) == 1  # the recipe does not depend on the folder
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.toml").write_text((shelf / "lif.toml").read_text())
    path.write_text(path.read_text().replace("mine.toml:no_feedback", "here.toml"))
    with pytest.raises(DendrosimError, match="here has no"):
        learn.load_recipe(path)  # found in the working directory, and it has no such parameters


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("lr", "is not KEY=VALUE"),
        ("training.lr.x=1", "lr is not a section"),
        ("layers.7.n=3", "there are 2 layers, from 0"),
        ("layers=3", "layers = 3 should be a list"),
        ("training.lr=fast", "lr = 'fast' should be a whole number or a number"),
    ],
)
def test_a_wrong_change_is_told(tiny, change, told):
    with pytest.raises(DendrosimError) as error:
        learn.load_recipe(tiny, [change])
    assert told in str(error.value)


@pytest.mark.parametrize("name", shelves.names("recipes"))
def test_a_recipe_of_the_shelf_is_whole(name):
    from dendrosim.learn.tasks import TASKS

    recipe = learn.load_recipe(name)
    builder = TASKS[recipe.task]
    assert recipe.title and recipe.reference
    assert recipe.task_options.keys() <= builder.options.keys() | {"seed"}
    assert recipe.readout.start < builder.shape[0]


def test_an_unknown_recipe_is_told():
    with pytest.raises(DendrosimError, match="'binary_adding_lrm' is not a recipe on the shelf; "
                       "did you mean 'binary_adding_lrmm"):  # fmt: skip
        learn.load_recipe("binary_adding_lrm")


# --- starting values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mean", "sd", "largest"),
    [
        ("xavier", 0, math.sqrt(6 / 500 / 3), math.sqrt(6 / 500)),
        ("torch", 0, math.sqrt(1 / 300 / 3), math.sqrt(1 / 300)),
        ("normal(150, 10)", 150, 10, 250),
        ("uniform(-1, 3)", 1, 4 / math.sqrt(12), 3),
        (0.25, 0.25, 0, 0.25),
    ],
)
def test_draws_have_the_moments_of_their_law(text, mean, sd, largest):
    drawn = read_draw(text, "here", matrix=True)(np.random.default_rng(0), (200, 300))
    error = max(sd, 1e-12) / math.sqrt(drawn.size)
    assert abs(drawn.mean() - mean) < 5 * error
    assert abs(drawn.std() - sd) < 5 * error
    assert np.abs(drawn).max() <= largest


@pytest.mark.parametrize("text", ["uniform(2, 3)", "normal(2.5, 0.01)", 2.5, "torch"])
def test_a_number_that_a_layer_shares_is_drawn_too(text):
    drawn = read_draw(text, "here")(np.random.default_rng(0), ())
    assert drawn.shape == () and (text == "torch" or 2 <= drawn <= 3)


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8)])
def test_orthogonal_is_orthonormal(shape):
    w = read_draw("orthogonal", "here", matrix=True)(np.random.default_rng(1), shape)
    short = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(short, np.eye(min(shape)), atol=1e-12)


def test_the_starting_network_is_drawn_from_the_seed(tiny):
    recipe = learn.load_recipe(tiny)
    a, b, c = (initial_network(recipe, 2, 10, seed) for seed in (0, 0, 1))
    assert np.array_equal(a.layers[0].input_weights["I"], b.layers[0].input_weights["I"])
    assert not np.array_equal(a.layers[0].input_weights["I"], c.layers[0].input_weights["I"])
    first, second = a.layers
    assert np.all(first.bias["I"] == -0.5) and np.abs(first.input_weights["I"]).max() > 1.5
    assert np.abs(first.bias["F"]).max() <= 1 / math.sqrt(2)
    assert first.parameters["w_O"] == 0.1 and first.parameters["w_I"].shape == (8,)
    assert np.all(np.diag(second.recurrent_weights["I"]) == 0)
    assert second.parameters["b_0"].shape == () and np.std(second.parameters["tau_adp"]) > 1


def test_the_rates_of_the_last_layer_need_a_neuron_a_class(tiny):
    recipe = learn.load_recipe(tiny, ["readout.rule=rate"])
    with pytest.raises(DendrosimError, match="so it needs 10 neurons, not 6"):
        initial_network(recipe, 2, 10, 0)
    network = initial_network(learn.load_recipe(recipe, ["layers.1.n=10"]), 2, 10, 0)
    assert network.n_out == 0


# --- schedules ----------------------------------------------------------------------------------


def by_torch(make, epochs, accuracies=None):
    """Return the factors of a torch scheduler."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for epoch in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([] if accuracies is None else [accuracies[epoch]]))
    return found


@given(every=st.integers(1, 7), factor=st.floats(0.05, 1))
def test_step_is_that_of_torch(every, factor):
    schedule = Schedule("step", factor=factor, every=every)
    ours = [rate_factor(schedule, epoch, 20, ()) for epoch in range(20)]
    theirs = by_torch(lambda o: torch.optim.lr_scheduler.StepLR(o, every, factor), 20)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert ours[every] == factor


@given(st.lists(st.integers(1, 19), min_size=1, max_size=4, unique=True))
def test_milestones_are_those_of_torch(epochs):
    schedule = Schedule("milestones", factor=0.1, epochs=tuple(epochs))
    ours = [rate_factor(schedule, epoch, 20, ()) for epoch in range(20)]
    theirs = by_torch(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, sorted(epochs), 0.1), 20)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_cosine_is_that_of_torch_and_ends_at_nothing():
    ours = [rate_factor(Schedule("cosine"), epoch, 20, ()) for epoch in range(21)]
    theirs = by_torch(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20), 21)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert ours[10] == pytest.approx(0.5) and ours[20] == pytest.approx(0)


@given(st.lists(st.integers(0, 5), min_size=12, max_size=12), st.integers(0, 3))
def test_plateau_is_that_of_torch(tenths, patience):
    accuracies = [k / 10 for k in tenths]
    schedule = Schedule("plateau", factor=0.7, patience=patience)
    ours = [rate_factor(schedule, epoch, 12, accuracies[:epoch]) for epoch in range(12)]
    kind = torch.optim.lr_scheduler.ReduceLROnPlateau
    theirs = by_torch(
        lambda o: kind(o, mode="max", factor=0.7, patience=patience), 12, accuracies
    )  # fmt: skip
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@given(st.floats(0, 1), st.floats(0, 50))
def test_anneal_moves_linearly_and_stays_in_between(share, beyond):
    anneal = Anneal(start=0.2, end=1.0, first=3, last=8)
    assert annealed(anneal, 3 + 5 * share) == pytest.approx(0.2 + 0.8 * share)
    assert annealed(anneal, 3 - beyond) == 0.2
    assert annealed(anneal, 8 + beyond) == annealed(anneal, math.inf) == pytest.approx(1.0)


# --- scores and losses --------------------------------------------------------------------------


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


BY_NUMPY = {
    "last": lambda v, s: v[:, -1],
    "sum": lambda v, s: v.sum(1),
    "mean": lambda v, s: v.sum(1) / v.shape[1],
    "max": lambda v, s: v.max(1),
    "softmax_sum": lambda v, s: softmax(v).sum(1),
    "rate": lambda v, s: s.sum(1) / s.shape[1],
    "steps": lambda v, s: v,
}


@pytest.mark.parametrize("rule", BY_NUMPY)
def test_scores_are_those_of_numpy(rule):
    rng = np.random.default_rng(0)
    values, spikes = rng.normal(size=(3, 7, 4)), (rng.random((3, 7, 4)) < 0.5).astype(float)
    start = 0 if rule == "steps" else 2
    found = scores(torch.tensor(values), torch.tensor(spikes), Readout(rule, start, 1.5))
    wanted = 1.5 * BY_NUMPY[rule](values[:, start:], spikes[:, start:])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("steps", [None, 6])
def test_the_loss_is_that_of_numpy(smoothing, steps):
    rng = np.random.default_rng(1)
    shape = (5,) if steps is None else (5, steps)
    z, target = rng.normal(size=(*shape, 4)), rng.integers(0, 4, shape)
    if steps:
        target[:, :4] = -1
    loss = hits = count = 0
    for index in np.ndindex(shape):
        if target[index] >= 0:
            law = np.full(4, smoothing / 4)
            law[target[index]] += 1 - smoothing
            loss -= law @ np.log(softmax(z[index]))
            hits += int(z[index].argmax() == target[index])
            count += 1
    found = sums(torch.tensor(z), torch.tensor(target), smoothing)
    assert found.loss.item() == pytest.approx(loss, rel=1e-12)
    assert (found.hits.item(), found.count.item()) == (hits, count)


@pytest.mark.parametrize(
    ("task", "change", "told"),
    [
        ({"name": "binary_adding"}, "readout.rule=steps", "the task has a target for a whole"),
        ({"name": "copy_task"}, "readout.rule=last", "a target for every step; valid: steps"),
        ({"name": "binary_adding", "steps": 12}, "readout.start=12", "should be below the 12"),
    ],
)
def test_a_readout_that_does_not_fit_the_task_is_told(tiny, task, change, told):
    recipe = learn.load_recipe(tiny, [change])
    with pytest.raises(DendrosimError) as error:
        Trainer(recipe, load_task(**task), 0, "cpu", "float32", World())
    assert told in str(error.value)


# --- training -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One uninterrupted run of the tiny recipe."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(TINY)
    rows = []
    result = learn.train(
        folder / "tiny.toml", folder / "run", threads=1, progress=False, on_epoch=rows.append
    )
    return result, rows


def test_a_run_leaves_what_is_needed_to_repeat_it(trained):
    result, rows = trained
    folder = result.folder
    files = {path.name for path in folder.iterdir()}
    assert files >= {"run.json", "log.csv", "last.pt", "best.safetensors", "result.json"}
    run = json.loads((folder / "run.json").read_text())
    assert run["recipe_hash"] == learn.load_recipe(folder.parent / "tiny.toml").hash
    assert {"commit", "machine", "threads", "versions", "seed", "started"} <= run.keys()
    assert learn.load_recipe(folder.parent / "tiny.toml").text == run["recipe_text"]
    assert run["task"]["options"]["steps"] == 12
    told = json.loads((folder / "result.json").read_text())
    assert told["test_accuracy"] == result.accuracy == told["test_hits"] / told["test_count"]
    assert rows == list(result.history) and [row["epoch"] for row in rows] == [1, 2, 3]
    logged = log(folder)
    assert [float(row["train_loss"]) for row in logged] == [row["train_loss"] for row in rows]
    best = max(rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
    assert told["best_epoch"] == best["epoch"] == result.network.metadata["epoch"]


def test_tensorboard_reads_the_log(trained):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result, rows = trained
    events = accumulator.EventAccumulator(str(result.folder / "tensorboard"))
    events.Reload()
    shown = [(e.step, e.value) for e in events.Scalars("validation_accuracy")]
    assert shown == [(row["epoch"], pytest.approx(row["validation_accuracy"])) for row in rows]


def test_what_is_fixed_limited_or_masked_stays(trained):
    result, _ = trained
    start = initial_network(learn.load_recipe(result.folder.parent / "tiny.toml"), 2, 10, 0)
    first, second = result.network.layers
    assert np.all(first.parameters["w_O"] == np.float32(0.1))
    assert not np.array_equal(first.parameters["w_I"], start.layers[0].parameters["w_I"])
    assert np.all(first.parameters["alpha_I"] <= np.float32(0.96))
    assert np.all(np.diag(second.recurrent_weights["I"]) == 0)
    assert first.values()["m"] == 1  # annealing has ended when the network is used


def test_what_was_annealed_is_in_the_network_that_is_saved(tiny, tmp_path):
    """The hits of the validation part equal those that selected the epoch, on every device."""
    changed(tiny, "[anneal.m]\nstart = 0.0\nend = 1.0", "[anneal.V_th]\nstart = 1.0\nend = 1.5")
    result = learn.train(tiny, tmp_path / "run", threads=1, progress=False)
    network = ds.load_network(result.folder / "best.safetensors")
    assert network.layers[0].values()["V_th"] == 1.5 != ds.load_model("lrmm").values()["V_th"]
    task = load_task(**network.metadata["task"])
    for device in ("torch", "numpy"):
        found = learn.evaluate(network, task, device, part="validation", progress=False)
        assert found.accuracy == result.meta["validation_accuracy"]


def own_task(**changes):
    """Return a handmade task: 12 steps of 2 inputs, 10 classes."""
    rng = np.random.default_rng(0)
    parts = {
        name: Stored(rng.random((n, 12, 2)), rng.integers(0, 10, n))
        for name, n in (("train", 40), ("validation", 10), ("test", 10))
    }
    fields = {
        "name": "mine", "title": "Mine", "reference": "none", "n_in": 2, "n_out": 10, "steps": 12,
        "facts": {"made": "by hand"}, **parts,
    }  # fmt: skip
    return Task(**fields | changes)


def test_a_task_of_ones_own_trains(tiny, tmp_path):
    result = learn.train(tiny, tmp_path / "run", task=own_task(), threads=1, progress=False)
    assert result.meta["test_count"] == 10 and len(result.history) == 3
    other = own_task(facts={"made": "otherwise"})
    with pytest.raises(DendrosimError, match="is of a run with task"):
        learn.train(tiny, tmp_path / "run", task=other, resume=True, threads=1, progress=False)


NAN = Stored(np.full((40, 12, 2), np.nan), np.zeros(40))
LATE = Stored(np.r_[np.zeros((39, 12, 2)), np.full((1, 12, 2), np.nan)], np.zeros(40))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_out": 4}, "a target of 9, but its classes are 0 to 3"),
        ({"steps": 500}, "samples have shape (12, 2), but the task declares (500, 2)"),
        ({"n_in": 3}, "samples have shape (12, 2), but the task declares (12, 3)"),
        ({"test": Stored(np.zeros((0, 12, 2)), np.zeros(0))}, "its test part has 0 samples"),
        ({"facts": {"n": np.int64(3)}}, "its facts cannot be kept as JSON"),
        ({"train": NAN}, "a sample holds a number that is not finite"),
        ({"train": LATE}, "a sample holds a number that is not finite"),
        ({"train": Stored(np.zeros((40, 12, 2)), np.full(40, -1))}, "nothing of its train part"),
        ({"validation": Stored(np.zeros((9, 12, 2)), np.full(9, -1))}, "nothing of its validation"),
    ],
)
def test_a_wrong_task_is_told_and_leaves_nothing(tiny, tmp_path, changes, told):
    with pytest.raises(DendrosimError) as error:
        learn.train(tiny, tmp_path / "run", task=own_task(**changes), threads=1, progress=False)
    assert told in str(error.value) and str(error.value).startswith("mine: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ports", [None, ("I", "O")])
def test_disjoint_masks_give_each_source_one_port(tiny, ports):
    changes = ["layers.0.mask=disjoint", "layers.0.recurrent=true", "layers.0.limits={}"]
    for key in ("weights", "recurrent_weights"):
        table = "{" + ", ".join(f"{port} = 'torch'" for port in ports or ()) + "}"
        changes.append(f"layers.0.{key}={table if ports else 'torch'}")
    recipe = learn.load_recipe(tiny, changes)
    network = initial_network(recipe, 7, 10, 0)
    layer = network.layers[0]
    kinds = layer.input_weights, layer.recurrent_weights
    reached = np.stack([
        np.hstack([kind[port] != 0 for kind in kinds]) for port in ports or layer.model.ports
    ])  # fmt: skip
    assert np.all(reached.sum(0) == 1)  # one port per source of each neuron
    shares = reached.sum(2)
    assert shares.max() - shares.min() <= 1  # as even as possible
    assert len(np.unique(reached[0], axis=0)) > 1  # each neuron has its own draw
    module = learn.TorchNetwork(network, fused=False)
    project = constraints(recipe, module)
    trained = module.layers[0]
    pairs = [
        (table[port], kind[port]) for table, kind in
        zip((trained.input_weights, trained.recurrent_weights), kinds, strict=True)
        for port in ports or layer.model.ports
    ]  # fmt: skip
    with torch.no_grad():
        for weights, _ in pairs:
            weights += 1
    project()
    for weights, start in pairs:
        assert np.array_equal((weights != 0).numpy(), start != 0)


def test_accuracy_agrees_on_devices_as_spikes_do(trained):
    result, _ = trained
    network = ds.load_network(result.folder / "best.safetensors")
    assert readout_of(network) == Readout("mean", 2, 2.0)
    task = load_task(**network.metadata["task"])
    by_torch, by_brian = (
        learn.evaluate(network, task, device, batch=20, progress=False)
        for device in ("torch", "numpy")
    )
    assert np.array_equal(by_torch.predicted, by_brian.predicted)
    assert by_torch.rates == by_brian.rates and min(by_torch.rates) > 0
    assert by_torch.accuracy == by_brian.accuracy == result.accuracy
    few = learn.evaluate(network, task, limit=10, progress=False)
    assert few.count == 10 and sorted(few.target) == sorted({*few.target})


def test_evaluating_what_was_not_trained_is_told(trained):
    result, _ = trained
    task = load_task("binary_adding", steps=12, n_test=10)
    bare = ds.Network(result.network.layers, np.zeros((10, 6)))
    with pytest.raises(DendrosimError, match="hold no readout rule"):
        learn.evaluate(bare, task)
    with pytest.raises(DendrosimError, match="inputs and 10 classes, the network 2 and 10"):
        learn.evaluate(result.network, load_task("copy_task"))
    with pytest.raises(DendrosimError, match="did you mean 'torch'"):
        learn.evaluate(result.network, task, "torhc")


def test_a_diverging_run_is_told(tiny, tmp_path):
    changed(tiny, "lr = 0.01", "lr = 1e36")
    with pytest.raises(ds.DivergenceError, match="no longer finite in epoch 1"):
        learn.train(tiny, tmp_path / "run", threads=1, progress=False)
    assert not (tmp_path / "run" / "last.pt").exists()


# --- resuming -----------------------------------------------------------------------------------


def test_a_run_is_not_overwritten_nor_mixed(trained, tiny):
    result, _ = trained
    with pytest.raises(DendrosimError, match="holds a run already; --resume"):
        learn.train(tiny, result.folder, progress=False)
    with pytest.raises(DendrosimError, match="is of a run with seed 0, not 1"):
        learn.train(tiny, result.folder, seed=1, resume=True, progress=False)
    with pytest.raises(DendrosimError, match="is of a run with recipe"):
        learn.train(tiny, result.folder, resume=True, changes=["training.lr=1"], progress=False)


def test_a_run_does_not_go_on_with_another_model(tmp_path, tiny):
    model = tmp_path / "mine.toml"
    model.write_text((shelves.shelf("models") / "lif.toml").read_text())
    changes = [f"layers.1.model='{model}'", "layers.1.parameters={}", "training.epochs=1"]
    learn.train(tiny, tmp_path / "run", changes=changes, progress=False)
    changed(model, '"0.8"', '"0.9"')
    with pytest.raises(DendrosimError, match=r"is of a run with model .*mine\.toml"):
        learn.train(tiny, tmp_path / "run", changes=changes, resume=True, progress=False)


def test_resuming_a_finished_run_gives_its_result(trained, tiny):
    result, _ = trained
    before = (result.folder / "result.json").stat().st_mtime_ns
    again = learn.train(tiny, result.folder, resume=True, progress=False)
    assert (result.folder / "result.json").stat().st_mtime_ns == before
    assert again.meta == result.meta and again.history == result.history


def test_a_hostile_state_is_refused(tiny, tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DendrosimError, match="not the state of a training run"):
        learn.train(tiny, tmp_path / "run", resume=True, progress=False)
    assert not (tmp_path / "ran").exists()


class StoppedError(Exception):
    pass


def test_stopped_within_an_epoch_a_run_ends_the_same(trained, tiny, tmp_path, monkeypatch):
    """Stop in every fifth step, and between saving the state of an epoch and its files."""
    from dendrosim.learn.training import run_folder

    result, _ = trained
    steps = {"left": 5}
    train_step, write = Trainer._step, run_folder.RunFolder._write_epoch

    def step(self, indices):
        if not steps["left"]:
            raise StoppedError
        steps["left"] -= 1
        train_step(self, indices)

    def stop_before_writing(self):
        if self.trainer.progress.epoch == 2 and "stopped" not in steps:
            steps["stopped"] = True
            raise StoppedError
        write(self)

    monkeypatch.setattr(Trainer, "_step", step)
    monkeypatch.setattr(run_folder.RunFolder, "_write_epoch", stop_before_writing)
    stops = 0
    while True:
        try:
            steps["left"] = 5
            learn.train(tiny, tmp_path / "run", resume=True, progress=False, save_steps=3)
            break
        except StoppedError:
            stops += 1
    assert stops >= 5 and "stopped" in steps
    assert same(weights_of(tmp_path / "run"), weights_of(result.folder))
    assert log(tmp_path / "run") == log(result.folder)
    assert same_best(tmp_path / "run", result.folder)


#: Trains in a child process repeatedly and kills it with SIGKILL, each time at a random moment
#: after it has saved something; the last child may finish.
KILLING = """
import os, pathlib, random, signal, sys, time
import torch
from dendrosim import learn
recipe, out, kills, seed = sys.argv[1], pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:])
moments, state = random.Random(seed), out / "last.pt"
def written():
    return state.stat().st_mtime_ns if state.exists() else None
for left in range(kills, -1, -1):
    before = written()
    child = os.fork()
    if child == 0:
        learn.train(recipe, out, resume=True, threads=1, save_steps=1, progress=False)
        os._exit(0)
    if left:
        while written() == before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.2))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) != bool(left):
        sys.exit(f"{left} kills were left, but the run ended with status {status}")
"""


@pytest.mark.parametrize(("kills", "seed"), [(2, 0), pytest.param(10, 1, marks=pytest.mark.slow)])
def test_killed_at_random_moments_a_run_ends_with_the_same_weights(kills, seed, tiny, tmp_path):
    changed(tiny, "n_train = 200", "n_train = 2000")
    for out, times in (("whole", 0), ("killed", kills)):
        run = subprocess.run(
            [sys.executable, "-c", KILLING, str(tiny), str(tmp_path / out), str(times), str(seed)],
            capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert len(json.loads((killed / "run.json").read_text())["resumed"]) == kills
    assert same(weights_of(killed), weights_of(whole))
    assert log(killed) == log(whole)
    assert same_best(killed, whole)
    assert [path for path in killed.iterdir() if path.name.startswith(".")] == []


# --- several processes --------------------------------------------------------------------------

TOGETHER = """
import sys
from dendrosim import learn
learn.train(sys.argv[1], sys.argv[2], threads=1, progress=False,
            changes=["layers.dropout=0", "training.batch=32"])
"""


def test_two_processes_train_what_one_does(tiny, tmp_path):
    script = tmp_path / "together.py"
    script.write_text(textwrap.dedent(TOGETHER))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    starts = {
        "one": [sys.executable],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone",
                "--nproc-per-node", "2"],
    }  # fmt: skip
    for name, start in starts.items():
        run = subprocess.run(
            [*start, str(script), str(tiny), str(tmp_path / name)],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)
    rows = [[float(row["train_loss"]) for row in log(tmp_path / name)] for name in starts]
    np.testing.assert_allclose(*rows, rtol=1e-5)


# --- units of torch -----------------------------------------------------------------------------

CELLS = """
title = "A small LSTM"
reference = "none"
task = { name = "binary_adding", steps = 12, n_train = 200, n_validation = 50, n_test = 50 }
layers = [{ model = "lstm", n = 8, dropout = 0.1 }, { model = "lstm", n = 6 }]
training = { epochs = 2, batch = 30, lr = 0.01 }
"""


def test_an_lstm_trains_saves_and_evaluates_as_the_others(tmp_path):
    path = tmp_path / "cells.toml"
    path.write_text(CELLS)
    result = learn.train(path, tmp_path / "run", threads=1, progress=False)
    network = load_trained(tmp_path / "run" / "best.safetensors")
    assert repr(network) == "<Network 2-8-6-10 of lstm, 782 weights>"
    task = load_task(**network.metadata["task"])
    found = learn.evaluate(network, task, progress=False)
    assert found.accuracy == result.accuracy and found.rates == ()
    with pytest.raises(DendrosimError, match="it runs on device 'torch' only"):
        learn.evaluate(network, task, "cpp")
    counted = replace(network, metadata={**network.metadata, "readout": {"rule": "rate"}})
    with pytest.raises(DendrosimError, match="has no spikes: its readout cannot be 'rate'"):
        learn.evaluate(counted, task, progress=False)
    with pytest.raises(DendrosimError, match="not a dendrosim network"):
        ds.load_network(tmp_path / "run" / "best.safetensors")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("layers.1.model=lif", "model = 'lif' cannot be combined with 'lstm'"),
        ("layers.1.recurrent=true", "recurrent is not for lstm, which has only n and dropout"),
        ("readout.rule=rate", "lstm has no spikes to count"),
        ("anneal.m={ start = 0, end = 1, last = 2 }", "anneal: lstm has no such parameters"),
    ],
)
def test_what_an_lstm_has_not_is_told(change, told, tmp_path):
    path = tmp_path / "cells.toml"
    path.write_text(CELLS)
    with pytest.raises(DendrosimError) as error:
        learn.load_recipe(path, [change])
    assert told in str(error.value)


# --- commands -----------------------------------------------------------------------------------


def command(*arguments):
    """Run a command; return its status and output, or raise its error."""
    from dendrosim.cli import learn

    done = CliRunner().invoke(getattr(learn, arguments[0]), arguments[1:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_the_commands_train_resume_and_evaluate(tiny, tmp_path):
    out = tmp_path / "out"
    arguments = ["train", str(tiny), "--out", str(out), "--threads", "1", "--set", "layers.n=5"]
    status, text = command(*arguments, "--epochs", "1", "--seeds", "3,4")
    assert status == 0 and "epoch    1" in text and "2 seeds: test accuracy" in text
    with pytest.raises(DendrosimError, match="holds a run already"):
        command(*arguments, "--epochs", "1", "--seeds", "3,4")
    status, text = command(*arguments, "--epochs", "1", "--seeds", "3,4", "--resume", "--json")
    results = json.loads(text)
    assert [row["seed"] for row in results] == [3, 4]
    network = f"{results[0]['folder']}/best.safetensors"
    status, text = command("evaluate", network, "--device", "torch", "numpy", "--json")
    found = json.loads(text)
    assert status == 0 and [row["device"] for row in found] == ["torch", "numpy"]
    assert {row["accuracy"] for row in found} == {results[0]["test_accuracy"]}
    status, text = command("evaluate", network, "torch", "--part", "validation", "--limit", "20")
    assert "of 20, validation of binary_adding" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seed", "1", "--seeds", "1,2"], "exclude each other"),
        (["--seeds", "1,1"], "should be different whole numbers"),
        (["--precision", "bf16", "--device", "cpu"], "precision 'bf16' is for a GPU"),
        (["--precision", "half"], "precision 'half' is unknown; valid: bf16, float32"),
        (["--threads", "0"], "threads = 0 should be a whole number, 1 or larger"),
        (["--set", "task.steps=5"], "task binary_adding: steps = 5"),
        (["--set", "task.n_validation=0"], "its validation part has 0 samples"),
        (["--data", "/nowhere"], "task binary_adding needs no data"),
    ],
)
def test_wrong_options_are_told_and_leave_nothing(arguments, told, tiny, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(DendrosimError) as error:
        command("train", str(tiny), "--out", str(out), *arguments)
    assert told in str(error.value) and not out.exists()


def test_recipes_are_listed():
    _, text = command("recipes", "--json")
    rows = {row["name"]: row["title"] for row in json.loads(text)}
    assert "binary_adding_lrmm" in rows and all(rows.values())
    assert all(name in command("recipes")[1] for name in rows)


def test_a_step_whose_gradient_is_not_finite_is_left_out(tiny, monkeypatch, tmp_path):
    """The weights do not change, the log counts the step, and the run continues."""
    from dendrosim.learn.training import trainer

    real, calls, norms = trainer.nn.utils.clip_grad_norm_, [], []

    def norm(parameters, limit):
        parameters = list(parameters)
        before = [p.detach().clone() for p in parameters]
        calls.append((parameters, before))
        found = real(parameters, limit)
        norms.append(found.item())
        return found * math.inf if len(calls) == 2 else found

    monkeypatch.setattr(trainer.nn.utils, "clip_grad_norm_", norm)
    done = learn.train(tiny, tmp_path / "run", threads=1, progress=False)
    assert [row["skipped_steps"] for row in done.history] == [1, *[0] * (len(done.history) - 1)]
    del norms[1]  # the skipped step does not contribute to the mean
    steps = len(norms) // len(done.history) + 1
    parts = [norms[: steps - 1], *np.split(np.array(norms[steps - 1 :]), len(done.history) - 1)]
    logged = [row["gradient_norm"] for row in done.history]
    assert logged == pytest.approx([np.mean(part) for part in parts])
    for first, second, third in zip(*(call[1] for call in calls[:3]), strict=True):
        del first
        assert torch.equal(second, third)  # the second step changed nothing
    assert any(not torch.equal(a, b) for a, b in zip(calls[0][1], calls[1][1], strict=True))


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    """Both runs ended without an error, but one reported the accuracy of the other's weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        for resume in (False, True):
            with pytest.raises(DendrosimError, match="another process is training there"):
                learn.train("digits_lif", folder, resume=resume, changes=["training.epochs=1"])
    finally:
        os.close(held)
    assert list(folder.iterdir()) == []


def test_a_folder_that_holds_a_run_keeps_it(tmp_path):
    """A refused start deletes nothing, including files of a run without a state."""
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DendrosimError, match="holds a run already"):
        learn.train("digits_lif", tmp_path)
    assert (tmp_path / "run.json").read_text() == "{}"
    with pytest.raises(DendrosimError, match="has no option 'nothing'"):
        learn.train("digits_lif", tmp_path / "new", changes=["task.nothing=1"])
    assert not (tmp_path / "new").exists()
