"""Detection of the CUDA toolkit, a GPU and brian2cuda on this machine.

The toolkit may be installed in the system or from wheels of the package registry.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import warnings
from dataclasses import dataclass
from pathlib import Path

from dendrosim.errors import DendrosimError

#: Default if there is no GPU: the value of H100 and H200.
COMPUTE_CAPABILITY = 9.0


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit.

    Attributes
    ----------
    root
        Folder with ``bin/nvcc``.
    curand_include, curand_library
        Folders with ``curand.h`` and a ``libcurand.so``; None without curand.
    """

    root: Path
    curand_include: Path | None
    curand_library: Path | None


def find_toolkit() -> Toolkit | None:
    """Return the CUDA toolkit of the system or of installed wheels, None without one."""
    wheels = [Path(p) / "nvidia" / "cu13" for p in (sysconfig.get_path("purelib"), *sys.path)]
    nvcc = shutil.which("nvcc")
    candidates = [os.environ.get("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda"]
    if nvcc:
        candidates.append(str(Path(nvcc).resolve().parent.parent))
    found = [
        Toolkit(root, *_curand([root, *wheels]))
        for root in [*(Path(c) for c in candidates if c), *wheels]
        # the header is checked because a wrapper script may also be called nvcc
        if (root / "bin" / "nvcc").is_file() and (root / "include" / "cuda_runtime.h").is_file()
    ]
    # Compiler and headers must be of the same release, so prefer a toolkit with its own curand
    whole = [toolkit for toolkit in found if toolkit.curand_include == toolkit.root / "include"]
    return next(iter(whole + found), None)


def _curand(places: list[Path]) -> tuple[Path | None, Path | None]:
    for base in places:
        if not (base / "include" / "curand.h").is_file():
            continue
        for folder in ("lib64", "lib"):
            if sorted((base / folder).glob("libcurand.so*")):
                return base / "include", base / folder
    return None, None


def has_gpu() -> bool:
    """Whether nvidia-smi lists a GPU."""
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return run.returncode == 0 and "GPU" in run.stdout


def required_toolkit() -> Toolkit:
    """Return the CUDA toolkit, complete with curand.

    Raises
    ------
    DendrosimError
        If a part is missing; the message gives the command that installs it.
    """
    toolkit = find_toolkit()
    if toolkit is None:
        raise DendrosimError(
            "device 'cuda' needs the CUDA compiler nvcc, which is not here; install the CUDA "
            "toolkit, or pip install 'dendrosim[cuda]', which brings it"
        )
    if toolkit.curand_include is None:
        raise DendrosimError(
            f"device 'cuda' needs curand, which {toolkit.root} lacks; "
            "pip install nvidia-curand==10.4.0.35"
        )
    return toolkit


def require(*, compiler: bool, gpu: bool) -> None:
    """Check that the required parts of CUDA are available.

    Raises
    ------
    DendrosimError
        If a part is missing; the message gives the command that installs it.
    """
    import_brian2cuda()
    if compiler:
        required_toolkit()
    if gpu and not has_gpu():
        raise DendrosimError(
            "device 'cuda' needs an NVIDIA GPU, and nvidia-smi lists none here; the project can "
            "be written and checked without one: dendrosim generate ... --device cuda --check"
        )


def import_brian2cuda() -> None:
    """Import brian2cuda, which registers its device.

    Raises
    ------
    DendrosimError
        If brian2cuda is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from setuptools and pyparsing
            import brian2cuda  # noqa: F401 (registers its device)
            import setuptools  # noqa: F401 (supplies distutils, which brian2cuda imports)
    except ImportError as error:
        raise DendrosimError(
            f"device 'cuda' needs brian2cuda ({error}): pip install 'dendrosim[cuda]'"
        ) from None
