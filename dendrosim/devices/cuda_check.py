"""Compile a CUDA project without linking, in seconds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dendrosim.devices import cuda_toolkit
from dendrosim.errors import DendrosimError


def check_source(folder: Path) -> None:
    """Compile host and device code of a project without linking.

    All files are joined into one, which compiles in seconds; a build takes minutes.  Each body has
    its own namespace, to avoid conflicts between helpers of the same name.

    Raises
    ------
    DendrosimError
        With the compiler's first error.
    """
    cuda_toolkit.import_brian2cuda()
    toolkit = cuda_toolkit.required_toolkit()
    unit = folder / "check.cu"
    unit.write_text(_one_unit(folder))
    command = [
        str(toolkit.root / "bin" / "nvcc"), "-w", "-std=c++17", "-ptx", "-o", os.devnull,
        f"-arch=sm_{round(10 * cuda_toolkit.COMPUTE_CAPABILITY)}", f"-I{folder}",
        f"-I{toolkit.curand_include}", str(unit),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    unit.unlink()
    if run.returncode:
        lines = (run.stderr + run.stdout).splitlines()
        wrong = next((line for line in lines if "error" in line.lower()), "nvcc failed")
        raise DendrosimError(f"the CUDA project does not compile: {wrong.strip()}")


def _one_unit(folder: Path) -> str:
    includes: list[str] = []
    bodies = []
    for path in sorted([*folder.glob("*.cu"), *folder.glob("code_objects/*.cu")]):
        if path.name == "check.cu":
            continue
        body, macros = [], set()
        for line in path.read_text().splitlines():
            words = line.replace("#", "# ", 1).split()
            if words[:2] == ["#", "include"]:
                if line.strip() not in includes:
                    includes.append(line.strip())
                continue
            if words[:2] == ["#", "define"] and len(words) > 2:
                macros.add(words[2].partition("(")[0])
            body.append(line)
        text = "\n".join(body)
        if path.parent.name == "code_objects":
            text = f"namespace unit_{path.stem} {{\n{text}\n}}"
        bodies.append("\n".join([text, *(f"#undef {name}" for name in sorted(macros))]))
    return "\n".join([*includes, *bodies])
