"""Model text in torch: differentiable steps, networks and training.

The only part of dendrosim that imports torch (``pip install 'dendrosim[learn]'``).
"""

from __future__ import annotations

from dendrosim.errors import DendrosimError

try:
    import torch  # noqa: F401 (checked here, so that the reason is one sentence)
except ImportError:
    raise DendrosimError("torch is not installed: pip install 'dendrosim[learn]'") from None

from dendrosim.learn.continuous import ContinuousStep
from dendrosim.learn.evaluation import Evaluation, evaluate
from dendrosim.learn.recipe import Recipe, load_recipe
from dendrosim.learn.run_folder import TrainingResult
from dendrosim.learn.step import DiscreteStep
from dendrosim.learn.surrogates import SURROGATES
from dendrosim.learn.torch_cells import CellNetwork
from dendrosim.learn.torch_network import TorchNetwork, TorchOutput
from dendrosim.learn.training import train

__all__ = [
    "SURROGATES", "CellNetwork", "ContinuousStep", "DiscreteStep", "Evaluation", "Recipe",
    "TorchNetwork", "TorchOutput", "TrainingResult", "evaluate", "load_recipe", "train",
]  # fmt: skip
