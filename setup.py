"""Packaging of dendrosim: the Python package and its two shelves of text files.

`models/` and `protocols/` stand at the top of the checkout, where people read them. In a wheel they
lie inside the package, as `dendrosim/models/*.toml` and `dendrosim/protocols/*.toml`. Neither holds
Python, so neither has an `__init__.py`.
"""

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

#: Python, and the folders of text files that a wheel holds as packages without Python.
PACKAGES = {
    name: name.replace(".", "/")
    for name in find_packages(str(HERE), include=["dendrosim", "dendrosim.*"])
} | {
    "dendrosim.recipes": "dendrosim/recipes",
    "dendrosim.models": "models",
    "dendrosim.protocols": "protocols",
}

BASE = [
    "brian2>=2.8,<2.12",
    # Neither Brian2 that Python 3.11 can have (2.8, 2.9) imports with numpy 2.4.
    'numpy>=1.26,<2.4; python_version < "3.12"',
    'numpy>=1.26; python_version >= "3.12"',
    "scipy>=1.11",
    "pandas>=2.1",
    "xarray>=2024.1",
    "h5netcdf>=1.3",
    "h5py>=3.10",  # h5netcdf names no backend of its own
    "matplotlib>=3.8",
    "click>=8.1",
    "tqdm>=4.66",
    "lazy-loader>=0.4",  # a name is imported when it is first used
    "filelock>=3.12",  # processes that need one compiled program wait for each other
    "safetensors>=0.4",
    "zarr>=3.1",  # the store of a sweep
    "numcodecs>=0.15",  # the checksums of its chunks
    "joblib>=1.4",  # its processes
    "cma>=4.0",  # the optimiser of a fit
]

EXTRAS = {
    # pooch fetches published data; scikit-learn has the 8 x 8 digits
    "learn": ["torch>=2.10", "pooch>=1.8", "scikit-learn>=1.4", "tensorboard>=2.16"],
    # An extra, not a dependency, for two reasons: brian2cuda is GPL while dendrosim is BSD, and
    # each of its releases pins one exact Brian2 (1.0a7 pins 2.8.0, 1.0b1 pins 2.10.1). For the
    # second reason it is not in `test` either: the suite runs on the newest Brian2.
    "cuda": [
        'brian2cuda==1.0a7; python_version < "3.12"',
        'brian2cuda==1.0b1; python_version >= "3.12"',
        # nvcc, its headers and curand, for machines without a CUDA toolkit
        "nvidia-cuda-nvcc>=13,<14",
        "nvidia-cuda-cccl>=13,<14",
        "nvidia-cuda-runtime>=13,<14",
        "nvidia-cuda-profiler-api>=13,<14",
        "nvidia-curand>=10.4,<11",
        # what compiles and launches the fused kernels of training; torch for CUDA brings both
        "cuda-bindings>=12.9",
        "nvidia-cuda-nvrtc>=13,<14",
    ],
    "cluster": ["distributed>=2024.8"],
    "sensitivity": ["SALib>=1.5"],
    # Brings torch.  dendrosim silences what it prints and writes: test that for each release.
    "posterior": ["sbi>=0.27,<0.28"],
    "ephys": ["neo>=0.13"],
    "metrics": ["elephant>=1.1"],
    "efel": ["efel>=5.6"],
    "nir": ["nir>=1.0"],
    "docs": [
        "sphinx>=8",
        "docutils>=0.21,<0.24",  # its converter to MathML is provisional
        "myst-nb>=1.3",
        "furo>=2024.8",
        "ipykernel>=6.29",
        # what `make notebooks` uses itself; the others bring them
        "nbclient>=0.10",
        "nbformat>=5.9",
        "pillow>=10",
    ],
}
TESTED = (
    "ephys", "metrics", "cluster", "sensitivity", "posterior", "efel", "learn", "nir", "docs",
)  # fmt: skip
EXTRAS["test"] = [
    "pytest>=8",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "ruff>=0.9",
    "mypy>=2.4",
    "build>=1.2",
    "setuptools>=77",  # tests/test_packaging.py builds without isolation
    "pyabf>=2.3",  # another reader of the recordings, with which ours is compared
    *(need for extra in TESTED for need in EXTRAS[extra]),
]

setup(
    name="dendrosim",
    version=run_path(str(HERE / "dendrosim" / "_version.py"))["__version__"],
    description="Two-compartment neurons, their discrete reductions and trained circuits",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the dendrosim developers",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering",
    ],
    keywords=["neuroscience", "spiking neural network", "dendrite", "brian2", "simulation"],
    python_requires=">=3.11",
    packages=[name for name, folder in PACKAGES.items() if (HERE / folder).is_dir()],
    package_dir=PACKAGES,
    package_data={
        # a stub beside an `__init__` names what the room hands on
        **{name: ["*.pyi"] for name in PACKAGES},
        "dendrosim.devices": ["*.pyi", "cpp_sources/*"],
        "dendrosim.model": ["*.pyi", "*.toml", "*.txt"],
        "dendrosim.papers": ["*.pyi", "*.toml"],
        "dendrosim.models": ["*.toml"],
        "dendrosim.protocols": ["*.toml"],
        "dendrosim.recipes": ["*.toml"],
    },
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["dendrosim = dendrosim.cli.commands:main"]},
)
