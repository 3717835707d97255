"""The arguments of a compiled program: ``group.variable=VALUE``, a number or a file of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim import signals
from dendrosim.job import Built, Job


def _numbers(job: Job) -> Iterator[tuple[tuple[str, str], Any, str]]:
    """Yield group and variable, value and type of all that a program is given."""
    control = {("control", "run_duration"): job.duration, ("control", "run_dt"): job.dt}
    for place, value in {**job.values, **control}.items():
        numbers = getattr(value, "dtype", None) == np.int32  # of neurons
        yield place, value, "int32" if numbers else job.dtype
    for place, value in signals.numbers(job.samples):
        yield place, value, "float64"


def write(job: Job, folder: Path, prefix: str | None = None) -> list[str]:
    """Write the arrays of a job into a folder; return the arguments that a program takes.

    Files are numbered: brian2cuda reads the names of files in small letters.

    Parameters
    ----------
    job
        Its numbers.
    folder
        Where files are written.
    prefix
        How the program reaches the folder; its path by default.
    """
    prefix = str(folder) if prefix is None else prefix
    arguments = []
    for (group, name), value, dtype in _numbers(job):
        if np.ndim(value) == 0:
            text = repr(float(value))
        else:
            file = f"{len(arguments):03d}.bin"
            np.ascontiguousarray(value, dtype=dtype).tofile(folder / file)
            text = f"{prefix}/{file}"
        arguments.append(f"{group}.{name}={text}")
    return arguments


def check(job: Job, built: Built, as_read: str) -> str:
    """Return C++ that refuses a wrong argument, where Brian2's own would go on without it.

    It is put into ``main``, where the arguments are ``args``; a number is written out in the one
    form that Brian2 takes for a number.

    Parameters
    ----------
    job, built
        Names and sizes of what there is.
    as_read
        C++ that changes ``value``, the name of a file, into the one that will be read.
    """
    groups = {**built.groups, "control": built.control}
    rows = []
    for (group, name), _, _ in _numbers(job):
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
