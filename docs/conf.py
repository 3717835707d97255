"""Sphinx: `make docs`.  The catalogue, errata, benchmarks and results are made at build time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# What is compiled here stays here, for the notebooks as well.
os.environ.setdefault("DENDROSIM_CACHE", str(HERE / "_build" / "programs"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import generated  # noqa: E402

from dendrosim import __version__  # noqa: E402

project = "dendrosim"
author = "the dendrosim developers"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "generated",
    "mathml",
    "offline",
]
html_math_renderer = "mathml"
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = f"dendrosim {version}"
html_copy_source = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# A notebook runs again when it, or anything of the package, has changed.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "notebooks" / generated.fingerprint())
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
templates_path = ["_templates"]
