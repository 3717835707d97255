"""What every benchmark shares: the machine it ran on, interleaved repetitions, tables and files."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DT, DURATION, NEURONS = 0.05, 500.0, 2000  # ms
MODELS = {"kepecs_wang": "kepecs_wang_2000", "pinsky_rinzel": "pinsky_rinzel_1994"}
DRIVE = "linspace(0, 2, {n}) uA/cm**2"  # into the dendrite, one amplitude a neuron


def machine() -> dict:
    """Return what a number depends on besides the code."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().split("\n")
                if line.startswith("model name")), platform.processor())  # fmt: skip
    flags = Path("/proc/cpuinfo").read_text()
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True).stdout
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True,
                            text=True).stdout.strip()  # fmt: skip
    return {
        "cpu": cpu, "avx512": "avx512f" in flags, "cores": os.cpu_count(),
        "load": os.getloadavg(), "compiler": compiler.split("\n")[0],
        "python": platform.python_version(), "libc": " ".join(platform.libc_ver()),
        "date": datetime.date.today().isoformat(), "commit": commit,
        "versions": {name: _version(name) for name in ("dendrosim", "brian2", "numpy", "torch")},
    }  # fmt: skip


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def save(name: str, result: Mapping) -> None:
    """Write a result beside the machine that made it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), **result}, indent=1, default=float)
    (RESULTS / f"{name}.json").write_text(text + "\n")


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and what it starts on one core (``BENCH_CORE``, 0 by default)."""
    core = int(os.environ.get("BENCH_CORE", "0"))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(here: bool = False) -> float:
    """Return what finished child processes have used, and this one, too, if `here`.

    User and system: other programs hardly disturb it.
    """
    who = [resource.RUSAGE_CHILDREN, *([resource.RUSAGE_SELF] if here else [])]
    used = [resource.getrusage(each) for each in who]
    return sum(u.ru_utime + u.ru_stime for u in used)


class Times(dict):
    """Name to median seconds; ``least`` has the shortest, which other programs disturb least."""

    least: dict[str, float]


def interleaved(
    runs: Mapping[str, Callable[[], float]], repeat: int = 5, settle: bool = True
) -> Times:
    """Return the seconds of each, run in rounds: what slows the machine slows all of them."""
    if settle:
        for run in runs.values():
            run()  # compile, fill caches
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeat):
        for name, run in runs.items():
            taken[name].append(run())
    times = Times({name: median(values) for name, values in taken.items()})
    times.least = {name: min(values) for name, values in taken.items()}
    return times


def table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    """Return a table for people."""
    cells = [list(map(_cell, header)), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = ["  ".join(c.ljust(w) if not k else c.rjust(w)
                       for k, (c, w) in enumerate(zip(row, widths, strict=True)))
             for row in cells]  # fmt: skip
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def population(n: int, duration: float = DURATION):
    """Return the protocol: n amplitudes into the dendrite."""
    import dendrosim as ds

    drive = DRIVE.format(n=n) if n > 1 else "1 uA/cm**2"
    stimulus = ds.Stimulus(into="dendrite", shape="constant", amplitude=drive)
    return ds.Protocol(duration=f"{duration} ms", stimuli=[stimulus])


def missed(
    reference: tuple[np.ndarray, np.ndarray],
    spikes: tuple[np.ndarray, np.ndarray],
    within: float = 1.0,
) -> float:
    """Return the fraction of a reference's spikes without one of the same neuron `within` ms.

    Both are (neuron, time in ms).
    """
    span = 1e6  # ms between two neurons on one axis
    times = np.sort(spikes[0] * span + spikes[1])
    wanted = reference[0] * span + reference[1]
    if not len(times):
        return 1.0
    at = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1) if len(times) > 1 else 0
    near = np.minimum(np.abs(times[at] - wanted), np.abs(times[at - 1] - wanted))
    return float(np.mean(near > within + 1e-6))
