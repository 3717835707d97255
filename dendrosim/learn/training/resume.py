"""The state of a training run in one file: written atomically, read without executing code."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dendrosim.errors import DendrosimError
from dendrosim.files import write_made

FORMAT = "dendrosim training 1"


@dataclass
class Progress:
    """Progress of a run.

    Random numbers are drawn again from (seed, epoch, step) and schedules depend only on the
    history, so no generator state is saved.

    Attributes
    ----------
    epoch, step
        Number of completed epochs, and of completed steps in the current one.
    skipped
        Steps of this epoch without an update because their gradient was not finite.
    norms
        Sum of the gradient norms of the other steps, before clipping.
    totals
        Loss, hits and count summed over the steps, shape (3,).
    seconds
        Time spent so far.
    history
        One row per completed epoch.
    best
        ``epoch``, ``accuracy``, ``loss`` and ``weights`` of the best validation result.
    """

    epoch: int = 0
    step: int = 0
    skipped: int = 0
    norms: float = 0.0
    totals: Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    def close(self, network: nn.Module, row: dict[str, Any]) -> None:
        """End an epoch: store its row, and the weights if they are the best so far."""
        quality = row["validation_accuracy"], -row["validation_loss"]
        if not self.best or quality > (self.best["accuracy"], -self.best["loss"]):
            weights = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
            self.best = {"epoch": row["epoch"], "accuracy": quality[0], "loss": -quality[1],
                         "weights": weights}  # fmt: skip
        self.history.append(row)
        self.epoch, self.step, self.skipped, self.norms = self.epoch + 1, 0, 0, 0.0
        self.totals = torch.zeros_like(self.totals)


def save_state(path: Path, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """Write the state of a run.

    Parameters
    ----------
    path
        The file.
    identity
        Plain values that identify the run: hashes of recipe and models, seed.
    state
        Tensors and plain values.

    Raises
    ------
    DendrosimError
        If the folder is not writable.
    """
    content = {"format": FORMAT, "identity": identity, **state}
    write_made(path, lambda file: torch.save(content, file))


def load_state(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Read the state of a run.

    Raises
    ------
    DendrosimError
        If the file has another format, or belongs to another recipe or seed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken or hostile pickle can raise any error
        raise DendrosimError(
            f"{path}: not the state of a training run ({type(error).__name__}); nothing was run"
        ) from None
    whole = isinstance(state, dict) and isinstance(state.get("identity"), dict)
    if not whole or state.get("format") != FORMAT:
        raise DendrosimError(f"{path}: not the state of a training run")
    check_identity(path, state, identity)
    return state


def check_identity(path: Path, state: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse the state of a run with another recipe, model, seed or task.

    Raises
    ------
    DendrosimError
    """
    for key, value in identity.items():
        found = state["identity"].get(key)
        if found != value and not (key == "task" and found is None):  # missing in earlier states
            raise DendrosimError(
                f"{path}: is of a run with {key} {_short(found)}, not {_short(value)}; give "
                "another --out, or resume with the same recipe, changes, data and seed"
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 20 else f"{text[:12]}..."
