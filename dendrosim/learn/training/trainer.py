"""The training loop: one network, one task, epoch by epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dendrosim.errors import DendrosimError, DivergenceError
from dendrosim.learn.networks.torch_cells import CellNetwork
from dendrosim.learn.networks.trained_cells import TrainedCells
from dendrosim.learn.tasks.task import checked
from dendrosim.learn.training.constraints import constraints
from dendrosim.learn.training.losses import Sums, check_targets, scores, sums
from dendrosim.learn.training.parallel import World
from dendrosim.learn.training.recipe import Recipe
from dendrosim.learn.training.recipe_parts import Readout
from dendrosim.learn.training.resume import Progress
from dendrosim.learn.training.schedules import annealed, rate_factor
from dendrosim.learn.training.starting import starting_module
from dendrosim.networks.network import Network

if TYPE_CHECKING:
    from dendrosim.learn.tasks.task import Split, Task


class Scorer(nn.Module):
    """A network and the scores of its classes: the module to wrap for several processes."""

    def __init__(self, network: nn.Module, readout: Readout) -> None:
        super().__init__()
        self.network, self.readout = network, readout

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores, and the mean spikes per step of each layer."""
        out = self.network(x)
        rates = [spikes.detach().mean() for spikes in out.spikes]
        last = out.spikes[-1] if out.spikes else None
        found = scores(out.readout, last, self.readout)
        return found, torch.stack(rates) if rates else found.new_zeros(0)


class Trainer:
    """Training of a network on a task with the settings of a recipe.

    Parameters
    ----------
    recipe, task
        Settings and data.
    seed
        Seed of initial weights, order of samples and dropout.
    device
        ``"cpu"`` or ``"cuda"``.
    precision
        ``"float32"``, or ``"bf16"`` for matrix products in bfloat16 on a GPU.
    processes
        The processes of the run.

    Attributes
    ----------
    progress
        Progress of the run.
    """

    def __init__(
        self, recipe: Recipe, task: Task, seed: int, device: str, precision: str, processes: World
    ) -> None:
        self.recipe, self.task, self.seed, self.processes = recipe, task, seed, processes
        self.device = torch.device(device, processes.local_rank) if device == "cuda" else (
            torch.device(device)
        )  # fmt: skip
        self.precision = precision
        for part in ("train", "validation", "test"):
            least = 1 if part == "test" else processes.size
            if len(getattr(task, part)) < least:
                raise DendrosimError(
                    f"{task.name}: its {part} part has {len(getattr(task, part))} samples, but "
                    f"each of {least} process(es) needs one"
                )
        for split in (task.train, task.validation):
            _, target = checked(
                task, split.batch(np.arange(min(recipe.training.batch, len(split))))
            )
            check_targets(recipe.readout, torch.as_tensor(target), task.steps, recipe.name)
        self.network = starting_module(recipe, task.n_in, task.n_out, seed).to(self.device)
        self.project = constraints(recipe, self.network)
        self.optimizer = _optimizer(recipe, self.network)
        self.scorer = Scorer(self.network, recipe.readout)
        self.parallel = processes.wrap(self.scorer)
        self.progress = Progress()
        self.progress.totals = self.progress.totals.to(self.device)

    @property
    def steps(self) -> int:
        """Steps per epoch; a last batch that is too small for the processes is skipped."""
        whole, rest = divmod(len(self.task.train), self.recipe.training.batch)
        return whole + (rest >= self.processes.size)

    @property
    def done(self) -> bool:
        """Whether all epochs are completed."""
        return self.progress.epoch >= self.recipe.training.epochs

    def train_epoch(self, after_step: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Finish the current epoch, validate, and return its row of the log.

        Parameters
        ----------
        after_step
            Called after every step, when the progress can be saved.

        Raises
        ------
        DivergenceError
            If the loss is not finite.
        """
        progress, training = self.progress, self.recipe.training
        began = time.perf_counter() - progress.seconds
        factor = rate_factor(
            self.recipe.schedule, progress.epoch, training.epochs,
            [row["validation_accuracy"] for row in progress.history],
        )  # fmt: skip
        for group in self.optimizer.param_groups:
            group["lr"] = training.lr * factor * group["scale"]
        order = self._order()
        self.parallel.train()
        while progress.step < self.steps:
            start = progress.step * training.batch
            self._step(order[start : start + training.batch])
            progress.step += 1
            progress.seconds = time.perf_counter() - began
            after_step()
        self.check_finite()
        row = self._row(training.lr * factor)
        progress.seconds = row["seconds"] = time.perf_counter() - began
        self.progress.close(self.network, row)
        return row

    def _order(self) -> np.ndarray:
        """Return the samples of the epoch in training order."""
        epoch, train = self.progress.epoch, self.task.train
        order = np.random.default_rng([self.seed, epoch]).permutation(len(train))
        return order + epoch * len(train) if train.endless else order

    def _step(self, indices: np.ndarray) -> None:
        progress, training = self.progress, self.recipe.training
        draws = [self.seed, progress.epoch, progress.step, self.processes.rank]
        torch.manual_seed(int(np.random.SeedSequence(draws).generate_state(1, np.uint64)[0] >> 1))
        self._anneal(progress.epoch + progress.step / self.steps)
        found = self._sums(self.task.train, self.processes.share(indices), self.parallel)[0]
        whole = self.processes.total(torch.stack([part.detach().double() for part in found]))
        self.optimizer.zero_grad(set_to_none=True)
        # processes average their gradients, so divide the sum of each by the mean count per process
        (found.loss * (self.processes.size / whole[2].clamp(min=1)).to(found.loss)).backward()
        norm = nn.utils.clip_grad_norm_(
            self.network.parameters(), training.clip or math.inf
        )  # an infinite limit only computes the norm
        progress.totals += whole
        if not torch.isfinite(norm):  # no update: the direction is undefined
            progress.skipped += 1
            return
        progress.norms += norm.item()
        self.optimizer.step()
        self.project()

    def _sums(
        self, split: Split, indices: np.ndarray, module: nn.Module
    ) -> tuple[Sums, Tensor]:  # fmt: skip
        samples, classes = checked(self.task, split.batch(indices))
        x = torch.from_numpy(np.ascontiguousarray(samples)).to(self.device, non_blocking=True)
        target = torch.as_tensor(classes, dtype=torch.int64).to(self.device, non_blocking=True)
        low = self.precision == "bf16" and module.training
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            found, rates = module(x)
        smoothing = self.recipe.training.label_smoothing if module.training else 0.0
        return sums(found.float(), target, smoothing), rates

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return loss, accuracy and activity of each layer on the validation part."""
        self._anneal(math.inf)
        self.scorer.eval()
        split, batch = self.task.validation, self.recipe.training.batch
        mine = self.processes.share(np.arange(len(split)))
        totals: Any = 0.0
        for start in range(0, len(mine), batch):
            part = mine[start : start + batch]
            found, rates = self._sums(split, part, self.scorer)
            row = torch.cat([torch.stack([p.double() for p in found]), rates.double() * len(part)])
            totals = totals + torch.cat([row, row.new_tensor([len(part)])])
        totals = self.processes.total(totals).tolist()
        loss, hits, count, *activity, samples = totals
        if not count:
            raise DendrosimError(f"{self.task.name}: nothing of its validation part is scored")
        told = {"validation_loss": loss / count, "validation_accuracy": hits / count}
        return told | {f"activity_{k}": rate / samples for k, rate in enumerate(activity)}

    def _anneal(self, progress: float) -> None:
        for name, anneal in self.recipe.anneal.items():
            for layer in self.network.layers:
                if hasattr(layer, f"value_{name}"):
                    getattr(layer, f"value_{name}").fill_(annealed(anneal, progress))

    def _row(self, rate: float) -> dict[str, Any]:
        loss, hits, count = self.progress.totals.tolist()
        if not count:
            raise DendrosimError(f"{self.task.name}: nothing of its train part is scored")
        row = {"epoch": self.progress.epoch + 1, "lr": rate}
        row |= {"train_loss": loss / count, "train_accuracy": hits / count}
        row["gradient_norm"] = self.progress.norms / max(self.steps - self.progress.skipped, 1)
        row["skipped_steps"] = self.progress.skipped
        return row | self.validate()

    def check_finite(self) -> None:
        """Stop if the loss is not finite.

        Raises
        ------
        DivergenceError
        """
        if not torch.isfinite(self.progress.totals[0]):
            raise DivergenceError(
                f"{self.recipe.name}: the loss is no longer finite in epoch "
                f"{self.progress.epoch + 1}, step {self.progress.step}; a lower training.lr or "
                "training.clip may help"
            )

    def best_network(self, metadata: Mapping[str, Any]) -> Network | TrainedCells:
        """Return the network of the best epoch, with the metadata for its evaluation."""
        if isinstance(self.network, CellNetwork):
            module = copy.deepcopy(self.network).cpu()
            module.load_state_dict(self.progress.best["weights"])
            return TrainedCells(module, metadata)
        now = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.progress.best["weights"])
        best = self.network.to_network()
        self.network.load_state_dict(now)
        return Network(best.layers, best.readout_weights, best.readout_bias, metadata)

    def state(self) -> dict[str, Any]:
        """Return the state to save."""
        self.check_finite()
        return {
            "network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        since = {"norms": math.nan}  # not in the states of older versions
        self.progress = Progress(**since | state["progress"])
        self.progress.totals = self.progress.totals.to(self.device)


def _optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser, with weight decay only for weights."""
    training = recipe.training
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            of_neuron = ".parameters_." in name
            decay = 0.0 if of_neuron or "bias" in name else training.weight_decay
            key = (training.neuron_lr if of_neuron else 1.0, decay)
            groups.setdefault(key, []).append(parameter)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    tables = [
        {"params": members, "scale": scale, "weight_decay": decay}
        for (scale, decay), members in groups.items()
    ]
    return kind(tables, lr=training.lr, betas=tuple(training.betas))
