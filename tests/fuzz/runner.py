"""The runner: cases in a process of their own, and what breaks the rule.

The rule: a file is read, or refused with a `DendrosimError` whose text is a sentence.  Never
another exception, never more processor time or memory than a case may use, never the end of the
process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
WORKER = ["-m", "fuzz.worker"]
#: What no sentence holds: an object's address or a piece of a traceback.
_NO_SENTENCE = ("Traceback", "<ast.", " object at 0x", "  File ")


class Failure(NamedTuple):
    """A case that broke the rule; `fuzz.kinds.case` makes its file again."""

    kind: str
    number: int
    what: str


class Report(NamedTuple):
    """What came of all cases."""

    counts: Counter
    failures: list[Failure]


def run(cases: Sequence[tuple[str, int]], folder: Path) -> Report:
    """Run cases.

    Parameters
    ----------
    cases
        Kind and number of each.
    folder
        Where the files are written, one after another.
    """
    counts: Counter = Counter()
    failures = []
    worker = None
    for name, number in cases:
        worker = worker or _started(folder)
        worker.stdin.write(json.dumps([name, number]) + "\n")
        worker.stdin.flush()
        answer = worker.stdout.readline()
        if not answer:
            what, told = "died", _death(_ended(worker))
            worker = None
        else:
            what, told = json.loads(answer)
        counts[name, what] += 1
        wrong = what in ("died", "raised") or (what == "refused" and not _is_sentence(told))
        if wrong:
            failures.append(Failure(name, number, f"{what}: {told}"))
            print(*failures[-1], flush=True)
    if worker is not None:
        _ended(worker)
    left = sorted({path.name for path in folder.iterdir() if path.name.startswith("ran")})
    if left:
        failures.append(Failure("any", -1, f"a file ran code, which wrote {left}"))
    return Report(counts, failures)


def _started(folder: Path) -> subprocess.Popen:
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    worker = subprocess.Popen(
        [sys.executable, *WORKER, str(folder)], cwd=TESTS, text=True,
        env={**os.environ, "PYTHONPATH": paths, **one}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if not worker.stdout.readline():
        raise RuntimeError(f"the worker did not start: status {worker.wait()}")
    return worker


def _ended(worker: subprocess.Popen) -> int:
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()
    worker.stdout.close()
    return worker.wait()


def _death(status: int) -> str:
    if status == -signal.SIGPROF:
        return "more processor time than a case may use"
    return f"signal {-status}" if status < 0 else f"status {status}"


def _is_sentence(told: str) -> bool:
    words = told.split()
    return len(words) > 2 and "\n" not in told and not any(p in told for p in _NO_SENTENCE)


if __name__ == "__main__":
    import tempfile
    import time

    from fuzz.kinds import plan

    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    wanted = [case for case in plan(count, first) if len(sys.argv) < 4 or case[0] in sys.argv[3]]
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        report = run(wanted, Path(scratch))
    print(sorted(report.counts.items()), f"{time.perf_counter() - began:.0f} s")
    print(len(wanted), "cases,", len(report.failures), "failures")
