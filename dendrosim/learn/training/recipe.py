"""A recipe: task, network and training settings as a frozen value, read from a TOML file."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dendrosim import checks, shelves
from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.learn.networks.torch_cells import CELLS
from dendrosim.learn.training.recipe_parts import (
    Anneal,
    LayerRecipe,
    Readout,
    Schedule,
    Surrogate,
    Training,
    section,
)
from dendrosim.model.model import Model
from dendrosim.model.toml import load_model


@dataclass(frozen=True, eq=False)
class Recipe:
    """The settings of a training run.

    Attributes
    ----------
    name, title, reference
        Short name, one line, and the source.
    deviations
        Differences from the source, one sentence each.
    task, task_options
        Name of the task and options for `load_task`.
    layers, readout, surrogate, training, schedule
        The sections, see `dendrosim.learn.training.recipe_parts`.
    anneal
        Name of a parameter to its annealing.
    text
        The recipe as TOML, including all changes.
    folder
        Folder of its file; paths of models are relative to it.
    """

    name: str
    title: str
    reference: str
    deviations: tuple[str, ...]
    task: str
    task_options: Mapping[str, Any]
    layers: tuple[LayerRecipe, ...]
    readout: Readout
    surrogate: Surrogate
    training: Training
    schedule: Schedule
    anneal: Mapping[str, Anneal]
    text: str
    folder: Path | None = None

    def __repr__(self) -> str:
        """Short form: name, layers and task."""
        sizes = "-".join(str(layer.n) for layer in self.layers)
        return f"<Recipe {self.name}: {sizes} on {self.task}>"

    def model(self, name: str) -> Model:
        """Return the model of a layer by its name in the recipe."""
        return load_model(shelves.beside(name, self.folder))

    @property
    def hash(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


_TOP = {
    "title": str, "reference": str, "deviations": list, "task": dict, "layers": list,
    "readout": dict, "surrogate": dict, "training": dict, "schedule": dict, "anneal": dict,
}  # fmt: skip


def load_recipe(name: str | os.PathLike | Recipe, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name
        Name on the shelf, or path of a TOML file.
    changes
        Such as ``"training.lr=1e-3"``: a dotted key and a TOML value.  ``layers.0.n`` changes
        one layer, ``layers.n`` all layers.

    Raises
    ------
    DendrosimError
        With the file, the key, the value and the valid values.
    """
    changes = checks.texts([*changes] if isinstance(changes, Iterator) else changes, "changes")
    if isinstance(name, Recipe):
        table, short, place = tomllib.loads(name.text), name.name, name.name
        folder = name.folder
    else:
        path = shelves.find(name, "recipes")
        table, short, place = shelves.read_toml(path), path.stem, str(path)
        folder = path.parent
    for change in changes:
        _set(table, change)
    with at(place):
        recipe = _recipe(table, short, folder)
    cells = any(layer.model in CELLS for layer in recipe.layers)
    # an error of a model has the file of the model, not that of the recipe
    models = [] if cells else [recipe.model(layer.model) for layer in recipe.layers]
    with at(place):
        if cells:
            _check_cells(recipe)
        else:
            _check_names(recipe, models)
    return recipe


def _recipe(table: dict[str, Any], name: str, folder: Path | None) -> Recipe:
    shelves.check_keys(table, _TOP)
    for key in ("title", "task", "layers", "training"):
        if key not in table:
            raise DendrosimError(f"has no {key!r}")
    task = dict(table["task"])
    if not isinstance(task.get("name"), str):
        raise DendrosimError("[task] has no name, such as name = 'binary_adding'")
    if "data" in task:
        raise DendrosimError(
            "[task] has the key 'data'; give the location of the files with --data "
            "(data=), because a recipe must be the same on every machine"
        )
    if not table["layers"]:
        raise DendrosimError("layers is empty; a recipe has one [[layers]] or more")
    layers = tuple(
        section(LayerRecipe, entry, f"layers.{k}") for k, entry in enumerate(table["layers"])
    )
    anneal = {
        key: section(Anneal, entry, f"[anneal.{key}]")
        for key, entry in table.get("anneal", {}).items()
    }
    return Recipe(
        name=name,
        title=table["title"],
        reference=table.get("reference", ""),
        deviations=tuple(map(str, table.get("deviations", ()))),
        task=task.pop("name"),
        task_options=MappingProxyType(task),
        layers=layers,
        readout=section(Readout, table.get("readout", {}), "[readout]"),
        surrogate=section(Surrogate, table.get("surrogate", {}), "[surrogate]"),
        training=section(Training, table["training"], "[training]"),
        schedule=section(Schedule, table.get("schedule", {}), "[schedule]"),
        anneal=MappingProxyType(anneal),
        text=shelves.toml_text(table),
        folder=folder,
    )


def _check_cells(recipe: Recipe) -> None:
    """Refuse keys that torch's units do not support: spikes, ports, parameters, our draws."""
    layers, readout = recipe.layers, recipe.readout
    for k, layer in enumerate(layers):
        if layer.model != layers[0].model:
            raise DendrosimError(
                f"layers.{k}: model = {layer.model!r} cannot be combined "
                f"with {layers[0].model!r}: all layers of torch's units must be of one kind"
            )
        plain = LayerRecipe(layer.model, layer.n, dropout=layer.dropout)
        for key, value in vars(layer).items():
            if value != getattr(plain, key):
                raise DendrosimError(
                    f"layers.{k}: {key} is not for {layer.model}, which has only n and dropout"
                )
    if readout != Readout(readout.rule, readout.start, readout.scale) or readout.rule == "rate":
        raise DendrosimError(
            f"[readout]: {layers[0].model} has no spikes to count, and torch initialises "
            "the weights; valid: start, scale, and rule except 'rate'"
        )
    if recipe.anneal:
        raise DendrosimError(f"anneal: {layers[0].model} has no such parameters")


def _check_names(recipe: Recipe, models: Sequence[Model]) -> None:
    """Refuse a port or parameter that the model of the layer does not have."""
    fixed: set[str] = set()
    for k, (layer, model) in enumerate(zip(recipe.layers, models, strict=True)):
        parameters = model.parameters
        trained = {name for name, p in parameters.items() if p.trainable}
        fixed |= parameters.keys() - trained
        for key, valid in (("parameters", parameters), ("limits", trained), ("fixed", trained)):
            for name in getattr(layer, key):
                if name not in valid:
                    what = "a parameter" if key == "parameters" else "a trained parameter"
                    raise DendrosimError(
                        f"layers.{k}: {key}: {model.name} has no {name!r} as {what}; "
                        f"{did_you_mean(name, valid)}"
                    )
        with at(f"layers.{k}"):
            _check_ports(layer, model)
    for name in recipe.anneal.keys() - fixed:
        raise DendrosimError(
            f"[anneal.{name}]: no layer has an untrained parameter of this name; "
            f"{did_you_mean(name, fixed)}"
        )


def _check_ports(layer: LayerRecipe, model: Model) -> None:
    for key in ("weights", "recurrent_weights", "bias"):
        value = getattr(layer, key)
        for port in value if isinstance(value, Mapping) else ():
            if port not in model.ports:
                raise DendrosimError(
                    f"{key}: {model.name} has no port {port!r}; {did_you_mean(port, model.ports)}"
                )


def _set(table: dict[str, Any], change: str) -> None:
    """Apply ``dotted.key=value`` to a recipe's table."""
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise DendrosimError(f"--set {change!r} is not KEY=VALUE, such as training.lr=1e-3")
    with at(f"--set {key.strip()}"):
        value = shelves.toml_value(text)
    tables = [table]
    if parts[0] == "layers" and len(parts) > 1 and isinstance(table.get("layers"), list):
        tables, parts = table["layers"], parts[1:]
        if parts[0].isdigit() and len(parts) > 1:
            number = int(parts[0])
            if number >= len(tables):
                raise DendrosimError(f"--set {change!r}: there are {len(tables)} layers, from 0")
            tables, parts = [tables[number]], parts[1:]
    for inner in tables:
        for part in parts[:-1]:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
            if not isinstance(inner, dict):
                raise DendrosimError(f"--set {change!r}: {part} is not a section")
        if not isinstance(inner, dict):
            raise DendrosimError(f"--set {change!r}: {parts[-1]} is not in a section")
        inner[parts[-1]] = value
