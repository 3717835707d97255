"""Law: which room of the house may import which, read from the source with `ast`.

The tables below are the contract. The checker is a function of a folder, so the last tests show it
small packages, each of which breaks one rule.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "dendrosim"

#: Each room may import those before it. `learn` is a folder, and one room; so is `cli_*.py`.
ROOMS = [
    "errors", "checks", "hdf5_probe", "hdf5", "pickling",
    "quantities", "names", "syntax", "whitelist", "exprel", "text", "library", "writing",
    "equations",
    "model_parts", "model_checks", "model", "model_table",
    "trains", "spike_detection", "abf_parts", "abf_header", "abf_command", "clamp_channels",
    "clamp_epochs", "clamp_doubts", "ephys",
    "group_size", "signals", "stimulus_options", "stimuli", "stimulus_checks", "protocol", "grids",
    "slopes", "integrators", "plan",
    "job", "arguments", "program_cache", "toolchain", "cpp_target", "cuda_target", "standalone",
    "programs", "program_run", "own_brian2", "runtime", "devices",
    "generate", "neurons", "recording_checks", "recording", "simulation",
    "voltage", "spike_features", "bursts", "impedance", "spike_distance", "features",
    "tables", "measures", "responses", "scores", "catalogue",
    "dual", "dynamics", "reduction", "fitting", "comparison_files", "comparison", "panels", "plots",
    "network", "network_files", "dense", "raster", "network_run", "switches", "differences",
    "verification", "proposal", "convert", "nir_files", "nir_paths", "nir_steps", "nir_graphs",
    "citations", "architecture", "operations", "conventions", "energy_runs", "energy", "figures",
    "network_figures", "propagation", "learn", "papers", "cli",
]  # fmt: skip

#: A method that hands its object on to a later room: allowed inside a function only.
HANDS_ON = {
    ("comparison", "plots"), ("reduction", "fitting"),
    ("verification", "learn"), ("network", "network_files"),
    ("convert", "learn"),
}  # fmt: skip

#: Third-party packages that only these rooms may import.
CONFINED = {
    "torch": {"learn"},
    "safetensors.torch": {"learn"},
    "brian2cuda": {"cuda_target"},
    "cuda": {"learn"},
    "click": {"cli"},
    "matplotlib": {"plots", "figures", "network_figures"},
    "neo": {"ephys", "recording"},
    "elephant": {"spike_distance"},
    "efel": {"spike_features"},
    "nir": {"nir_files"},
    "h5py": {"hdf5_probe", "nir_files", "learn"},
    "pooch": {"learn"},
    "sklearn": {"learn"},
}

#: What takes long to import, and the rooms that must not do so while they are imported themselves.
HEAVY = {"brian2", "torch", "scipy", "pandas", "xarray", "matplotlib"}
LIGHT = {"__init__", "__main__", "cli"}

#: The package's front, which may import every room; and what every room may import.
FRONT = {"__init__", "__main__"}
FREE = {"_version", "brian2_import"}


class Import(NamedTuple):
    """One imported name, as it is written in a module of the package."""

    module: str  # dotted, without the package's name; the package itself is "__init__"
    target: str  # likewise for a module of the package, else the full name: "torch.nn"
    inside: bool  # whether the target is of the package
    line: int
    at_import: bool  # it runs when the module is imported, not when a function is called

    def __str__(self) -> str:
        return f"{self.module} (line {self.line}) imports {self.target}"


def modules(package: Path) -> dict[str, Path]:
    """Map the name of every module of the package to its file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path) -> list[Import]:
    """Return every import in the package, less those that only a type checker reads."""
    known = modules(package)
    found = []
    for name, path in known.items():
        folder = [package.name, *path.parent.relative_to(package).parts]
        for node, at_import in _walk(ast.parse(path.read_text(encoding="utf-8")), True):
            for dotted in _targets(node, folder, known):
                head, _, rest = dotted.partition(".")
                inside = head == package.name
                target = (rest or "__init__") if inside else dotted
                found.append(Import(name, target, inside, node.lineno, at_import))
    return found


def _walk(node: ast.AST, at_import: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield each node and whether it runs at import; pass over what is under TYPE_CHECKING."""
    yield node, at_import
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        at_import = False
    typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    for child in node.orelse if typing_only else ast.iter_child_nodes(node):
        yield from _walk(child, at_import)


def _targets(node: ast.AST, folder: list[str], known: dict[str, Path]) -> list[str]:
    """Return the full dotted names that a node imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = folder[: len(folder) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        dotted = [f"{source}.{alias.name}" for alias in node.names]
        if source.partition(".")[0] != folder[0]:
            return dotted
        return [d if d.partition(".")[2] in known else source for d in dotted]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("import_module", "__import__")
    ):
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def room(module: str) -> str:
    """Return the room of a module: the file, or the folder, that it lies in."""
    head = module.split(".")[0]
    return "cli" if head.startswith("cli_") else head


def outside_the_table(package: Path) -> list[str]:
    """Return the modules whose room has no place in the order yet."""
    rooms = {room(name) for name in modules(package)} - FRONT - FREE
    return [f"add {name!r} to ROOMS in tests/test_layers.py" for name in sorted(rooms - {*ROOMS})]


def against_the_order(package: Path) -> list[str]:
    """Return the imports of a later room, of the package's front, or of no module at all."""
    return [str(found) for found in imports(package) if found.inside and not _in_order(found)]


def _in_order(found: Import) -> bool:
    here, there = room(found.module), room(found.target)
    if there in FREE or here in FRONT or here == there:
        return True
    if there not in ROOMS:  # the front, or no module
        return False
    if here not in ROOMS:  # outside_the_table tells
        return True
    hands_on = (here, there) in HANDS_ON and not found.at_import
    return ROOMS.index(there) < ROOMS.index(here) or hands_on


def through_the_walls(package: Path) -> list[str]:
    """Return the imports of a confined third-party package by a room that may not."""
    return [
        f"{found}, which is confined to {', '.join(sorted(rooms))}"
        for found in imports(package)
        for name, rooms in CONFINED.items()
        if not found.inside
        and f"{found.target}.".startswith(f"{name}.")
        and room(found.module) not in rooms
    ]


def heavy_at_import(package: Path) -> list[str]:
    """Return the heavy imports that a light module runs when it is imported."""
    return [
        str(found)
        for found in imports(package)
        if room(found.module) in LIGHT
        and found.at_import
        and not found.inside
        and found.target.partition(".")[0] in HEAVY
    ]


def cycles(package: Path) -> list[str]:
    """Return one cycle of modules that import each other at import, if there is any."""
    graph = {name: set() for name in modules(package)}
    for found in imports(package):
        if found.inside and found.at_import and found.target != found.module:
            graph[found.module].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


RULES = [outside_the_table, against_the_order, through_the_walls, heavy_at_import, cycles]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks_the_rule(rule):
    assert rule(PACKAGE) == []


def test_the_tables_name_rooms():
    named = set().union(*CONFINED.values(), *HANDS_ON, LIGHT - FRONT)
    assert named <= {*ROOMS}
    assert len(ROOMS) == len({*ROOMS})


@pytest.mark.parametrize("module", ["dendrosim", "dendrosim.cli"])
def test_importing_the_front_loads_nothing_heavy(module, tmp_path):
    code = f"import json, sys, {module}; print(json.dumps([*sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert HEAVY.isdisjoint(json.loads(run.stdout))


BROKEN = [
    (outside_the_table, {"attic.py": ""}, ["add 'attic' to ROOMS"]),
    (against_the_order, {"text.py": "from dendrosim.model import Model"}, ["text (line 1)"]),
    (against_the_order, {"text.py": "def f():\n    from . import model"}, ["text (line 2)"]),
    (against_the_order, {"text.py": "import dendrosim"}, ["imports __init__"]),
    (against_the_order, {"text.py": "from dendrosim import load_model"}, ["imports __init__"]),
    (against_the_order, {"model.py": "from dendrosim.nowhere import x"}, ["imports nowhere"]),
    (against_the_order, {"comparison.py": "from .plots import draw"}, ["comparison (line 1)"]),
    (against_the_order, {"model.py": "from .learn.step import f"}, ["imports learn.step"]),
    (through_the_walls, {"model.py": "import torch.nn as nn"}, ["imports torch.nn"]),
    (through_the_walls, {"model.py": "def f():\n    from torch import nn"}, ["model (line 2)"]),
    (through_the_walls, {"network.py": "from safetensors.torch import save"}, ["to learn"]),
    (
        through_the_walls,
        {"model.py": "import importlib\nimportlib.import_module('click')"},
        ["cli"],
    ),
    (heavy_at_import, {"__init__.py": "import brian2"}, ["__init__ (line 1)"]),
    (heavy_at_import, {"cli.py": "try:\n    import pandas\nexcept E: pass"}, ["cli (line 2)"]),
    (cycles, {"text.py": "from . import model", "model.py": "from . import text"}, ["model"]),
    (cycles, {"learn/a.py": "from .b import x", "learn/b.py": "from . import a"}, ["learn.a"]),
]


@pytest.mark.parametrize(("rule", "files", "told"), BROKEN)
def test_a_broken_package_is_told(rule, files, told, tmp_path):
    complaints = rule(_write(tmp_path, files))
    assert len(complaints) == len(told)
    assert all(part in complaint for part, complaint in zip(told, complaints, strict=True))


def test_what_is_allowed_is_not_told(tmp_path):
    package = _write(
        tmp_path,
        {
            "__init__.py": "from dendrosim._version import __version__\n"
            "def load():\n    from dendrosim.learn import step\n    import torch",
            "_version.py": "__version__ = '1'",
            "text.py": "from dendrosim.errors import E\nfrom . import _version",
            "comparison.py": "def plot():\n    from dendrosim.plots import draw",
            "model.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import torch\n    from dendrosim.cli import main\n"
            "else:\n    from dendrosim import text",
            "learn/step.py": "from torch.nn import Module\nfrom ..model import Model",
            "cli_train.py": "import click\nfrom dendrosim.learn import step",
        },
    )
    rules = [rule for rule in RULES if rule is not through_the_walls]
    assert [rule(package) for rule in rules] == [[]] * len(rules)
    assert through_the_walls(package) == [
        "__init__ (line 4) imports torch, which is confined to learn"
    ]


def _write(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "dendrosim"
    filled = {f"{name}.py": "" for name in ("__init__", "errors", "text", "model", "plots")}
    for name, source in {**filled, "learn/__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package
