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
from places import ROOT

PACKAGE = ROOT / "dendrosim"

#: The floors of the house, the ground first.  A room may import the rooms of the floors below it.
FLOORS = [
    ("errors", "pickling", "tables", "time_grid", "value_texts"),
    ("checks", "files", "hdf5"),
    ("progress", "shelves"),
    ("model",),
    ("integrators", "measures"),
    ("current_clamp", "devices"),
    ("simulation", "networks"),
    ("energy", "figures"),
    ("comparison", "learn.step"),
    ("learn.kernels", "sweeps"),
    ("learn.networks", "fitting"),
    ("learn.tasks", "reduction", "verification"),
    ("learn.training",),
    ("learn.gradients",),
    ("papers",),
    ("cli",),
]

#: Third-party packages that only these rooms may import.
CONFINED = {
    # networks: to read and write torch's files; fitting: what sbi computes with
    "torch": {"learn", "networks", "fitting"},
    "safetensors.torch": {"learn"},
    "brian2cuda": {"devices"},
    "cuda": {"learn"},
    "click": {"cli"},
    "matplotlib": {"figures", "comparison", "sweeps", "fitting", "reduction"},
    "neo": {"current_clamp", "simulation"},
    "elephant": {"measures"},
    "efel": {"measures"},
    "nir": {"networks"},
    "h5py": {"hdf5_probe", "networks", "learn"},
    "pooch": {"learn"},
    "sklearn": {"learn"},
    "cma": {"fitting"},
    "zarr": {"sweeps"},
    "joblib": {"sweeps"},
    "distributed": {"sweeps", "cli"},
    "SALib": {"sweeps"},
    "sbi": {"fitting"},
}

#: What takes long to import, and the rooms that must not do so while they are imported themselves.
HEAVY = {"brian2", "torch", "scipy", "pandas", "xarray", "matplotlib"}
LIGHT = {"__init__", "__main__", "cli"}

#: Fronts hand on names of every room.  Every room may import the other two, and the probe of HDF5
#: files is a program of its own.
FRONT = {"__init__", "__main__", "learn"}
FREE = {"_version", "brian2_import", "hdf5_probe"}

FLOOR = {room: k for k, rooms in enumerate(FLOORS) for room in rooms}


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
    """Return the room of a module: the file or folder that it lies in; `learn` has rooms inside."""
    head, _, rest = module.partition(".")
    return f"{head}.{rest.partition('.')[0]}" if head == "learn" and rest else head


def outside_the_table(package: Path) -> list[str]:
    """Return the modules whose room has no floor yet."""
    rooms = {room(name) for name in modules(package)} - FRONT - FREE
    return [f"add {name!r} to FLOORS in tests/test_layers.py" for name in sorted(rooms - {*FLOOR})]


def against_the_order(package: Path) -> list[str]:
    """Return the imports of a floor that is not below, of the package's front, of no module."""
    return [str(found) for found in imports(package) if found.inside and not _in_order(found)]


def _in_order(found: Import) -> bool:
    here, there = room(found.module), room(found.target)
    if there in FREE or here in FRONT or here == there:
        return True
    if there == "learn":  # its front hands on names of the rooms inside
        return FLOOR.get(here, 0) > max(FLOOR[name] for name in FLOOR if name[:6] == "learn.")
    if there not in FLOOR:  # the front, or no module
        return False
    return here not in FLOOR or FLOOR[there] < FLOOR[here]  # outside_the_table names the former


def through_the_walls(package: Path) -> list[str]:
    """Return the imports of a confined third-party package by a room that may not."""
    return [
        f"{found}, which is confined to {', '.join(sorted(rooms))}"
        for found in imports(package)
        for name, rooms in CONFINED.items()
        if not found.inside
        and f"{found.target}.".startswith(f"{name}.")
        and room(found.module).partition(".")[0] not in rooms
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
    """Return one circle of modules that import each other, also inside functions, if any."""
    graph = {name: set() for name in modules(package)}
    for found in imports(package):
        if found.inside and found.target not in {found.module, *FRONT}:
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
    named = set().union(*CONFINED.values(), LIGHT) - FRONT - FREE
    assert named <= {*FLOOR}
    assert len(FLOOR) == sum(map(len, FLOORS))


@pytest.mark.parametrize("module", ["dendrosim", "dendrosim.cli.commands"])
def test_importing_the_front_loads_nothing_heavy(module, tmp_path):
    code = f"import json, sys, {module}; print(json.dumps([*sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert HEAVY.isdisjoint(json.loads(run.stdout))


BROKEN = [
    (outside_the_table, {"attic.py": ""}, ["add 'attic' to FLOORS"]),
    (against_the_order, {"model/a.py": "from dendrosim.networks.b import B"}, ["model.a (line 1)"]),
    (against_the_order, {"model/a.py": "def f():\n    from ..networks import b"}, ["a (line 2)"]),
    (against_the_order, {"energy/a.py": "from dendrosim.figures import b"}, ["energy.a (line 1)"]),
    (against_the_order, {"model/a.py": "import dendrosim"}, ["imports __init__"]),
    (against_the_order, {"model/a.py": "from dendrosim import load_model"}, ["imports __init__"]),
    (against_the_order, {"model/a.py": "from dendrosim.nowhere import x"}, ["imports nowhere"]),
    (against_the_order, {"model/a.py": "from ..learn.step import f"}, ["imports learn.step"]),
    (against_the_order, {"learn/tasks/a.py": "from dendrosim.learn import x"}, ["imports learn"]),
    (through_the_walls, {"model/a.py": "import torch.nn as nn"}, ["imports torch.nn"]),
    (through_the_walls, {"model/a.py": "def f():\n    from torch import nn"}, ["a (line 2)"]),
    (through_the_walls, {"networks/a.py": "from safetensors.torch import save"}, ["to learn"]),
    (
        through_the_walls,
        {"model/a.py": "import importlib\nimportlib.import_module('click')"},
        ["cli"],
    ),
    (heavy_at_import, {"__init__.py": "import brian2"}, ["__init__ (line 1)"]),
    (heavy_at_import, {"cli/a.py": "try:\n    import pandas\nexcept E: pass"}, ["a (line 2)"]),
    (cycles, {"model/a.py": "from . import b", "model/b.py": "from . import a"}, ["model.a"]),
    (cycles, {"model/a.py": "from . import b", "model/b.py": "def f(): from . import a"}, ["b"]),
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
            "model/text.py": "from dendrosim.errors import E\nfrom .. import _version",
            "model/a.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import torch\n    from dendrosim.cli import main\n"
            "else:\n    from dendrosim.model import text",
            "learn/step/b.py": "from torch.nn import Module\nfrom ...model import a",
            "cli/train.py": "import click\nfrom dendrosim.learn import step, train",
        },
    )
    rules = [rule for rule in RULES if rule is not through_the_walls]
    assert [rule(package) for rule in rules] == [[]] * len(rules)
    assert through_the_walls(package) == [
        "__init__ (line 4) imports torch, which is confined to fitting, learn, networks"
    ]


def _write(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "dendrosim"
    rooms = ("model", "networks", "figures", "energy", "cli", "learn", "learn/step", "learn/tasks")
    filled = {f"{name}/__init__.py": "" for name in rooms}
    for name, source in {"__init__.py": "", "errors.py": "", **filled, **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package
