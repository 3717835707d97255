"""Commands for learning: list recipes, train a network, evaluate a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from dendrosim import shelves
from dendrosim.cli.options import JSON, print_json
from dendrosim.errors import DendrosimError


@click.command()
@JSON
def recipes(as_json: bool) -> None:
    """List the recipes, which can be trained by name."""
    rows = []
    for name in shelves.names("recipes"):
        table = shelves.read_toml(shelves.find(name, "recipes"))
        rows.append({"name": name, "title": table.get("title", "")})
    if as_json:
        print_json(rows)
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:{width}}  {row['title']}")


# fmt: off
@click.command()
@click.argument("recipe")
@click.option("--out", help="Folder of the result.  [default: runs/RECIPE]")
@click.option("--data", help="Folder with the files of the task.")
@click.option("--seed", type=int, help="Of starting weights, order of samples and dropout.  "
                                       "[default: 0]")
@click.option("--seeds", metavar="0,1,2", help="Several runs, each in its folder OUT/seed_N.")
@click.option("--epochs", type=int, help="Another number of epochs.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Change the recipe: training.lr=1e-3, layers.n=64, layers.0.dropout=0.3.")
@click.option("--resume", is_flag=True, help="Go on with the run in OUT, or start it.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]),
              help="Where to train.  [default: cuda where there is a GPU]")
@click.option("--precision", default="float32", show_default=True,
              help="float32, or bf16 on a GPU.")
@click.option("--threads", type=int, help="Of torch on the CPU.  [default: torch's own]")
@click.option("--save-steps", type=int,
              help="Save the state every so many steps, besides every minute and epoch.")
@JSON
def train(
    recipe: str, out: str | None, data: str | None, seed: int | None, seeds: str | None,
    epochs: int | None, settings: tuple[str, ...], resume: bool, device: str | None,
    precision: str, threads: int | None, save_steps: int | None, as_json: bool,
) -> None:
    # fmt: on
    """Train RECIPE: a name from `dendrosim recipes`, or the path of your own file.

    The validation part selects the epoch to keep; the test part is used only once, at the end.
    --resume continues a stopped run.  With torchrun, the processes train one network together.
    """
    from dendrosim.learn.training.recipe import load_recipe
    from dendrosim.learn.training.run import train as run

    changes = list(settings) + ([f"training.epochs={epochs}"] if epochs is not None else [])
    loaded = load_recipe(recipe, changes)
    chosen = _seeds(seed, seeds)
    folder = Path(out or Path("runs") / loaded.name)
    results = []
    for number in chosen:
        if not as_json:
            click.echo(f"{loaded.title}\n{loaded.name}, seed {number}")
        result = run(
            loaded, folder if seeds is None else folder / f"seed_{number}", seed=number,
            resume=resume, data=data, device=device, threads=threads, precision=precision,
            save_steps=save_steps, on_epoch=None if as_json else _tell_epoch,
        )  # fmt: skip
        results.append({"folder": str(result.folder), **result.meta})
        if not as_json:
            _tell_result(results[-1])
    if as_json:
        print_json(results)
    elif len(results) > 1:
        _tell_seeds(results)


def _seeds(seed: int | None, seeds: str | None) -> list[int]:
    if seeds is None:
        return [0 if seed is None else seed]
    if seed is not None:
        raise DendrosimError("--seed and --seeds exclude each other")
    parts = [part.strip() for part in seeds.split(",")]
    if not all(part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise DendrosimError(f"--seeds {seeds!r} should be different whole numbers, such as 0,1,2")
    return [int(part) for part in parts]


def _tell_epoch(row: Mapping[str, Any]) -> None:
    click.echo(
        f"epoch {row['epoch']:4d}  lr {row['lr']:.2e}  train loss {row['train_loss']:.4f} accuracy "
        f"{row['train_accuracy']:7.2%}  validation loss {row['validation_loss']:.4f} accuracy "
        f"{row['validation_accuracy']:7.2%}  {row['seconds']:.0f} s"
    )


def _tell_result(result: Mapping[str, Any]) -> None:
    click.echo(
        f"test accuracy {result['test_accuracy']:.2%} ({result['test_hits']} of "
        f"{result['test_count']}) with epoch {result['best_epoch']}; "
        f"{result['folder']}/best.safetensors"
    )


def _tell_seeds(results: Sequence[Mapping[str, Any]]) -> None:
    from statistics import mean, stdev

    reached = [result["test_accuracy"] for result in results]
    click.echo(
        f"{len(reached)} seeds: test accuracy {mean(reached):.2%} +- {stdev(reached):.2%} "
        f"(mean, standard deviation), best {max(reached):.2%}"
    )


# fmt: off
@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NETWORK [DEVICE]...")
@click.option("--task", "name", help="Task.  [default: the one it was trained on]")
@click.option("--data", help="Folder with the files of the task.")
@click.option("--device", "devices", multiple=True, metavar="DEVICE...",
              help="torch, numpy, cython, cpp: several after one --device, with commas, or each "
                   "with its own.  [default: torch cpp]")
@click.option("--part", default="test", show_default=True, help="test, validation or train.")
@click.option("--limit", type=int, help="Only so many samples, spread evenly over the part.")
@click.option("--threads", default=1, show_default=True, help="Of device cpp.")
@JSON
@click.pass_context
def evaluate(
    context: click.Context, names: tuple[str, ...], name: str | None, data: str | None,
    devices: tuple[str, ...], part: str, limit: int | None, threads: int, as_json: bool,
) -> None:
    # fmt: on
    """Print the accuracy of NETWORK on its task, for several devices.

    Exit status 0: the same on all devices.  1: different.  2: bad input.
    """
    from dendrosim.learn.networks.trained_cells import TrainedCells, load_trained
    from dendrosim.learn.tasks import load_task
    from dendrosim.learn.training.evaluation import PLACES
    from dendrosim.learn.training.evaluation import evaluate as run

    given = [one for device in devices for one in device.split(",")]
    given += [one for one in names if one in PLACES]
    files = [one for one in names if one not in PLACES]
    if len(files) != 1:
        raise DendrosimError(f"evaluate takes one network file, not {len(files)}")
    network = load_trained(files[0])
    said = network.metadata.get("task") or {}
    if not isinstance(said, dict) or "data" in said:
        raise DendrosimError(f"{files[0]}: its metadata has task = {said!r}, which no run wrote")
    trained_on = dict(said)
    options = trained_on if name in (None, trained_on.get("name")) else {"name": name}
    if "name" not in options:
        raise DendrosimError(f"{files[0]}: does not tell its task; give --task")
    task = load_task(options.pop("name"), data=data, **options)
    results = []
    usual = ["torch"] if isinstance(network, TrainedCells) else ["torch", "cpp"]
    for device in dict.fromkeys(given or usual):
        result = run(network, task, device, part=part, limit=limit, threads=threads).to_json()
        results.append(result)
        if not as_json:
            click.echo(
                f"{device:8} {result['accuracy']:.2%}  ({result['hits']} of {result['count']}, "
                f"{part} of {task.name}, {result['run_seconds']:.1f} s)"
            )
    if as_json:
        print_json(results)
    context.exit(0 if len({result["hits"] for result in results}) == 1 else 1)
