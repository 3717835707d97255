"""The claims of the two papers, tested with the text of the models: reproduced, refuted or open.

The claims are data, ``lstm_lif.toml`` (Zhang et al. 2023) and ``lrmm.toml`` (anonymous 2025).  Each
claim names the function that tests it.

>>> from dendrosim import papers
>>> papers.reproduce("papers")                    # doctest: +SKIP
"""

from __future__ import annotations

from dendrosim.papers.claims import VERDICTS, Checked, Claim, Paper, load_papers
from dendrosim.papers.reproduction import Reproduction, reproduce

__all__ = ["VERDICTS", "Checked", "Claim", "Paper", "Reproduction", "load_papers", "reproduce"]
