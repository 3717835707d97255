"""Running a compiled program with the values of a job, and reading its output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dendrosim.devices import arguments
from dendrosim.devices.job import Done, Job, Progress, check_finite
from dendrosim.devices.program_cache import scratch_name, sweep
from dendrosim.devices.programs import Program
from dendrosim.errors import DendrosimError

# OpenMP threads synchronise several times per step.  They spin for about 0.1 ms: long enough for
# all to arrive, but short enough not to block each other if other programs use the processor
_PATIENCE = {"GOMP_SPINCOUNT": "10000"}


@dataclass
class _Report:
    """The printed output of a program.

    Attributes
    ----------
    seconds, processor_seconds
        Wall and processor time of the loop over steps; `seconds` is None until the loop has ended.
    diverged
        Time at which a check detected a diverged state.
    frozen
        Neuron to the last check time with its states within their limits and the first check time
        with a state beyond.
    written
        Name of a file to its number of bytes.
    last
        The last line that is none of these.
    """

    seconds: float | None = None
    processor_seconds: float = 0.0
    diverged: float | None = None
    frozen: dict[int, tuple[float, float]] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    last: str = ""

    def read(self, line: str, progress: Progress | None) -> None:
        word, *rest = line.split() or [""]
        if word == "percent":
            if progress:
                progress(float(rest[0]) / 100)
        elif word == "seconds":
            self.seconds, self.processor_seconds = map(float, rest)
        elif word == "diverged":
            self.diverged = float(rest[1])
        elif word == "frozen":
            self.frozen[int(rest[0])] = float(rest[1]), float(rest[2])
        elif word == "array":
            self.written[rest[0]] = int(rest[1])
        elif word:
            self.last = line.strip()


def run_program(
    program: Program, job: Job, progress: Progress | None, freeze: bool = False
) -> Done:
    """Run a program with the values of a job.

    Parameters
    ----------
    program, job
        The program, and the job with its values.
    progress
        Called regularly with the completed fraction.
    freeze
        Whether a diverging neuron is frozen while the others continue.

    Raises
    ------
    DivergenceError
        If a state has diverged.
    DendrosimError
        If the program fails, or the length of a file differs from the one the program reported.
    """
    with _folder_of_run() as folder:
        results = folder / "results"
        results.mkdir()
        try:
            given = arguments.write(job, folder, sized=program.sized, freeze=freeze)
        except OSError as error:
            raise DendrosimError(
                f"the numbers of the run cannot be written into {folder} "
                f"({error.strerror or error}); TMPDIR names another folder"
            ) from None
        report = _run_binary(program, results, given, progress)
        arrays = {
            name: _array(results / file, dtype, report.written.get(file))
            for name, (file, dtype) in program.arrays.items()
        }
    if report.diverged is not None:
        states = {
            name.removeprefix("finite."): values
            for name, values in arrays.items()
            if name.startswith("finite.")
        }
        check_finite(job, states, report.diverged)
    assert report.seconds is not None  # _run_binary refuses a program that does not tell it
    return Done(
        arrays, program.compile_seconds, report.seconds, report.processor_seconds,
        program.compiled, report.frozen,
    )  # fmt: skip


@contextlib.contextmanager
def _folder_of_run() -> Iterator[Path]:
    """Make a folder for the files of a run; remove the folders of killed processes."""
    try:
        base = Path(tempfile.gettempdir())
        sweep(base)
        kept = tempfile.TemporaryDirectory(prefix=scratch_name("dendrosim"), dir=base)
    except OSError as error:
        raise DendrosimError(
            f"no folder for the files of a run can be made ({error.strerror or error}); TMPDIR "
            "names another one"
        ) from None
    with kept as folder:
        yield Path(folder)


def _array(path: Path, dtype: str, said: int | None) -> np.ndarray:
    """Read an output; raise an error if its length differs from the one the program reported."""
    try:
        size = path.stat().st_size
        if said is not None and size != said:
            raise DendrosimError(
                f"{path.name} of the run has {size:,} bytes of {said:,}: {path.parent} may be full"
            )
        return np.fromfile(path, dtype=dtype)
    except OSError as error:
        raise DendrosimError(
            f"what the run has written cannot be read: {path} ({error.strerror or error})"
        ) from None


def _run_binary(
    program: Program, results: Path, given: list[str], progress: Progress | None
) -> _Report:
    """Run the program; it also ends when this process ends or is killed (see `cpp.START`)."""
    main = program.folder.absolute() / "main"
    command = [str(main), "--results_dir", f"{results}{os.sep}", *given]
    environment = {**_PATIENCE, **os.environ, "DENDROSIM_PARENT": str(os.getpid())}
    report = _Report()
    try:
        process = subprocess.Popen(
            command, cwd=program.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env=environment,
        )  # fmt: skip
    except OSError as error:
        raise DendrosimError(f"{main} cannot be run ({error.strerror or error})") from None
    assert process.stdout is not None  # it is a pipe
    with process:
        try:
            for line in process.stdout:
                report.read(line, progress)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        code = process.returncode
        how = f"with status {code}" if code > 0 else f"by {signal.Signals(-code).name}"
        raise DendrosimError(
            f"the compiled program ended {how}: {report.last or 'it said nothing'}"
        )
    if report.seconds is None:
        raise DendrosimError(f"the compiled program did not come to its end: {report.last}")
    return report
