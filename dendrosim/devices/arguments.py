"""The arguments of a compiled program: ``group.variable=VALUE``, a number or a file of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.devices import group_size, signals
from dendrosim.devices.job import Built, Job


def _numbers(job: Job, sized: bool, freeze: bool) -> Iterator[tuple[tuple[str, str], Any, str]]:
    """Yield (group, variable), value and type of every argument of a program."""
    control = {
        ("control", "run_duration"): job.duration, ("control", "run_dt"): job.dt,
        ("control", "run_freeze"): int(freeze),
    }  # fmt: skip
    for (group, name), value in {**job.values, **control}.items():
        numbers = getattr(value, "dtype", None) == np.int32  # indices of neurons
        if sized and np.ndim(value) and group in job.rooms:
            value = group_size.filled(value, job.rooms[group])
        yield (group, name), value, "int32" if numbers else job.dtype
    for place, value in signals.numbers(job.samples, job.rooms.get("neurons")):
        yield place, value, "float64"
    for place, number in (job.sizes if sized else {}).items():
        yield place, number, "int32"


def write(
    job: Job, folder: Path, prefix: str | None = None, *, sized: bool, freeze: bool = False
) -> list[str]:
    """Write the arrays of a job into a folder and return the arguments of the program.

    File names are numbers, because brian2cuda converts file names to lower case.

    Parameters
    ----------
    job
        Provides the values.
    folder
        Folder for the files.
    prefix
        Path of the folder in the arguments; by default the path of `folder`.
    sized
        Whether the program reads the numbers of neurons, see `group_size`.
    freeze
        Whether a diverging neuron is frozen while the others continue.
    """
    prefix = str(folder) if prefix is None else prefix
    arguments: list[str] = []
    for (group, name), value, dtype in _numbers(job, sized, freeze):
        if np.ndim(value) == 0:
            text = repr(float(value))
        else:
            file = f"{len(arguments):03d}.bin"
            np.ascontiguousarray(value, dtype=dtype).tofile(folder / file)
            text = f"{prefix}/{file}"
        arguments.append(f"{group}.{name}={text}")
    return arguments


def check(job: Job, built: Built, as_read: str, sized: bool) -> str:
    """Return C++ that stops at a wrong argument; Brian2's own code would ignore it.

    The code is inserted into ``main``, where the arguments are ``args``.  It also rewrites each
    number in the only format that Brian2 accepts as a number.

    Parameters
    ----------
    job, built
        Provide the names and sizes of the valid arguments.
    as_read
        C++ that converts ``value``, a file name, to the name that the program will open.
    sized
        As in `write`.
    """
    groups = {**built.groups, "control": built.control}
    rows = []
    for (group, name), _, _ in _numbers(job, sized, False):
        variable = groups[group].variables[name]
        size = np.dtype(variable.dtype).itemsize
        rows.append(f'{{"{group}.{name}", {variable.size * size}, {size}}},')
    return _CHECK.replace("%KNOWN%", "\n        ".join(rows)).replace("%AS_READ%", as_read)


_CHECK = """
{
    const struct { const char* name; long long bytes; int size; } known[] = {
        %KNOWN%
    };
    for (std::string& argument : args)
    {
        const size_t equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
        std::string wrong = "no such value: run.sh lists those of this program";
        for (const auto& entry : known)
        {
            if (name != entry.name) continue;
            wrong = "";
            char* rest;
            const double number = strtod(value.c_str(), &rest);
            if (!value.empty() && !*rest && std::isfinite(number))
            {
                char text[32];
                snprintf(text, sizeof text, "%.17g", number);
                argument = name + "=" + text;
                break;
            }
            %AS_READ%
            std::ifstream file(value, std::ios::binary | std::ios::ate);
            const long long bytes = file ? (long long)file.tellg() : -1;
            if (bytes < 0)
                wrong = "neither a number nor a file that can be read";
            else if (bytes != entry.bytes)
                wrong = "a file of " + std::to_string(bytes) + " bytes, but "
                    + std::to_string(entry.bytes/entry.size) + " values of "
                    + std::to_string(entry.size) + " bytes are needed";
        }
        if (wrong.empty()) continue;
        std::cerr << argument << ": " << wrong << std::endl;
        return 2;
    }
}
"""
