"""What trained runs gave: their results, logs and the same networks in Brian2's C++.

    dendrosim train binary_adding_lrmm --out runs/binary_adding_lrmm
    python benchmarks/trained.py runs/binary_adding_lrmm [--data DIR] [--limit N]

Writes into `results/training/`, named after the folder and the seed: `.json` with recipe, seed,
commit, machine, every epoch, and the hits on the test part in torch and in C++ (where these differ,
also the result of `verify` on all test samples); `.toml`, the recipe as it ran; `.safetensors`, the
network.  So both can be repeated:

    dendrosim train benchmarks/results/training/NAME.toml --seed K
    dendrosim evaluate benchmarks/results/training/NAME.safetensors
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path

import numpy as np
from common import RESULTS, table


def result(folder: Path, data: str | None, limit: int | None) -> dict:
    """Return the result of a run, with its network evaluated on both devices."""
    from dendrosim.learn.networks.trained_cells import TrainedCells, load_trained
    from dendrosim.learn.tasks import load_task
    from dendrosim.learn.training.evaluation import evaluate

    told = json.loads((folder / "result.json").read_text())
    run = json.loads((folder / "run.json").read_text())
    with (folder / "log.csv").open() as file:
        epochs = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    network = load_trained(folder / "best.safetensors")
    options = dict(network.metadata["task"])
    task = load_task(options.pop("name"), data=data, **options)
    devices = {
        device: evaluate(network, task, device, limit=limit, progress=False).to_json()
        for device in (("torch",) if isinstance(network, TrainedCells) else ("torch", "cpp"))
    }
    apart = len({each["hits"] for each in devices.values()}) > 1
    explained = {"verified": verified(network, task, limit)} if apart else {}
    # where a run was stopped and went on, perhaps with a later commit
    resumed = [{key: stop[key] for key in ("epoch", "commit")} for stop in run["resumed"]]
    return told | {"versions": run["versions"], "recipe_text": run["recipe_text"],
                   "resumed": resumed, "epochs_logged": epochs,
                   "evaluated": devices} | explained  # fmt: skip


def verified(network, task, limit: int | None) -> dict:
    """Return whether the first differences of torch and C++ are ties, and their number."""
    from dendrosim.learn.tasks.task import checked
    from dendrosim.verification import verify

    chosen = np.linspace(0, len(task.test) - 1, min(len(task.test), limit or len(task.test)))
    x, _ = checked(task, task.test.batch(chosen.round().astype(int)))
    found = verify(network, x, ("torch", "cpp"))
    first = found.first
    return {"explained": found.explained, "samples": len(x),
            "differing_samples": int(first["sample"].nunique()),
            "differing_spikes": int(found.pairs["differing"].sum()),
            "neurons": sorted({(int(r.layer), int(r.neuron)) for r in first.itertuples()}),
            "amplified": int(first["amplified"].sum())}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--data", help="folder or archive of the task's files")
    parser.add_argument("--limit", type=int, help="samples of the test part for both devices")
    options = parser.parse_args()
    rows = []
    for folder in options.folders:
        told = result(folder, options.data, options.limit)
        name = folder.resolve().name.removesuffix(f"_seed_{told['seed']}")
        target = RESULTS / "training" / f"{name}_seed_{told['seed']}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_suffix(".toml").write_text(told["recipe_text"])
        shutil.copyfile(folder / "best.safetensors", target.with_suffix(".safetensors"))
        target.write_text(json.dumps(told, indent=1) + "\n")
        hits = {device: f"{e['hits']} of {e['count']}" for device, e in told["evaluated"].items()}
        rows.append((name, told["seed"], told["best_epoch"], f"{100 * told['test_accuracy']:.2f}",
                     hits["torch"], hits.get("cpp", "not spiking")))  # fmt: skip
    print(table(("run", "seed", "epoch", "test %", "torch", "C++"), rows))


if __name__ == "__main__":
    main()
