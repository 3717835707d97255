"""Neural posterior estimation by sbi: a mixture of Gaussians whose parameters a network gives.

The only module that imports sbi (``pip install 'dendrosim[posterior]'``), and torch for it.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that sbi imports
    from sbi.inference import NPE
    from sbi.neural_nets import posterior_nn

Array = NDArray[np.float64]

#: Width of the hidden layers, and number of Gaussians.
HIDDEN, COMPONENTS = 50, 10
#: Candidates per step of the training: a part of them, and at least and at most so many.
BATCHES, SMALLEST, LARGEST = 10, 20, 200
#: Chosen on membranes and on Kepecs-Wang, as were the batches: with sbi's own rate and patience the
#: training ends too early on so few candidates.
LEARNING_RATE, PATIENCE = 3e-3, 40


class Learnt(NamedTuple):
    """Samples of the network's posterior.

    Attributes
    ----------
    t
        Shape (samples, free values).
    log_density
        Of each sample, shape (samples,).
    epochs
        Epochs of the training.
    """

    t: Array
    log_density: Array
    epochs: int


def learn(
    t: Array, z: Array, samples: int, seed: int, tell: Callable[[int], None] | None = None
) -> Learnt:
    """Train a network on candidates, and sample its posterior at the target.

    Parameters
    ----------
    t
        Candidates, standard normal numbers of shape (candidates, free values).
    z
        Their features minus those of the target in spreads, shape (candidates, features), without
        the noise.  The observation is 0.
    samples
        Number of samples.
    seed
        Of weights, noise, batches and samples.
    tell
        Called with the number of each epoch, from 1.

    Notes
    -----
    The noise is drawn anew in every epoch, so that the network does not learn it by heart.
    Torch uses one thread meanwhile: the network is small, and its sums then have one order.
    """
    with _undisturbed(seed):
        numbers, features = (torch.tensor(a, dtype=torch.float32) for a in (t, z))
        # what validates the network keeps its noise: else the best epoch would be a lucky one
        data = torch.cat([features, torch.randn_like(features)], dim=1)
        builder = posterior_nn(
            "mdn", z_score_theta="none", z_score_x="none", hidden_features=HIDDEN,
            num_components=COMPONENTS, embedding_net=_Noisy(features, tell),
        )  # fmt: skip
        size = numbers.shape[1]
        prior = torch.distributions.Independent(
            torch.distributions.Normal(torch.zeros(size), torch.ones(size)), 1
        )
        trainer = NPE(prior, builder, tracker=_Silent(), show_progress_bars=False)
        batch = min(max(len(t) // BATCHES, SMALLEST), LARGEST)
        trainer.append_simulations(numbers, data).train(
            learning_rate=LEARNING_RATE,
            training_batch_size=batch,
            stop_after_epochs=PATIENCE,
        )
        posterior = trainer.build_posterior()
        at_target = torch.zeros(1, data.shape[1])
        found = posterior.sample((samples,), x=at_target, show_progress_bars=False)
        density = posterior.log_prob(found, x=at_target, norm_posterior=False)
        return Learnt(
            found.numpy().astype(float), density.detach().numpy().astype(float),
            int(trainer.summary["epochs_trained"][-1]),
        )  # fmt: skip


class _Noisy(torch.nn.Module):
    """Adds noise of one spread to features, standardises them, and mixes them in one layer."""

    def __init__(self, features: torch.Tensor, tell: Callable[[int], None] | None) -> None:
        super().__init__()
        self.tell, self.epochs = tell, 0
        self.mean: torch.Tensor
        self.size: torch.Tensor
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("size", torch.sqrt(features.var(0) + 1))
        self.layer = torch.nn.Linear(features.shape[1], HIDDEN)

    def train(self, mode: bool = True) -> _Noisy:
        """Tell the epoch: sbi, which has no callback, sets the mode at the start of each."""
        if mode:
            self.epochs += 1
            if self.tell is not None:
                self.tell(self.epochs)
        return super().train(mode)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """Return shape (candidates, `HIDDEN`) for features and fixed noise side by side."""
        features, noise = data.chunk(2, dim=-1)
        if self.training:
            noise = torch.randn_like(features)
        return torch.relu(self.layer((features + noise - self.mean) / self.size))


class _Silent:
    """A tracker for sbi that keeps nothing: its own writes a folder ``sbi-logs``."""

    log_dir = None

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Keep nothing."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Keep nothing."""

    def log_params(self, params: dict[str, Any]) -> None:
        """Keep nothing."""

    def add_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Keep nothing."""

    def flush(self) -> None:
        """Do nothing."""


@contextlib.contextmanager
def _undisturbed(seed: int) -> Iterator[None]:
    """Seed torch, and leave its random state, threads and settings as they were.

    What sbi prints and warns of is dropped: it says in words that training has ended, and warns of
    features whose values lie far apart.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.device("cpu"),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            torch.set_num_threads(1)
            torch.set_default_dtype(torch.float32)
            # that of the processor alone: torch.manual_seed would seed a GPU as well
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
