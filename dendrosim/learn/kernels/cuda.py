"""Fused kernels for a GPU: all steps of a layer, forward and adjoint, in one launch each.

Without recurrent weights, neurons are independent: one thread per neuron of each sample.  With
recurrent weights, one block of threads per sample: the spikes of a step pass through its shared
memory, and the recurrent product is a sum over the neurons that spiked.  If the weights are too
many for each block to read at each step, torch computes the product and a launch is one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from dendrosim.learn.kernels import cuda_driver
from dendrosim.learn.kernels.cuda_source import THREADS, WARP, WIDEST, members, source
from dendrosim.learn.kernels.kernel import Kernel, each_step, each_step_back

#: Maximum number of recurrent weights that each block reads itself.  One multiprocessor of an H100
#: reads about 64 bytes per cycle from the second-level cache: reading a million bytes takes as
#: long as the two launches and the matrix product of a step that it replaces.
RESIDENT = 2**18


class CudaKernel(Kernel):
    """The steps of a layer as GPU threads."""

    def forward(
        self, values: Sequence[Tensor], drive: Tensor, recurrent: Tensor | None,
        states: Sequence[Tensor], before: Tensor, spikes: Tensor, keep: bool,
    ) -> None:  # fmt: skip
        """Run all steps."""
        steps, batch, n = spikes.shape
        memory = self._memory(
            end=steps, batch=batch, n=n, stride=batch * n if keep else 0, ports=drive,
            before=before, spikes=spikes, values=values, states=states,
        )  # fmt: skip
        if recurrent is None:
            self._by_cells("forward", memory, drive)
        elif self._is_resident(n):
            weights = recurrent.T.contiguous()
            memory["weights"] = weights.data_ptr()
            self._by_samples("forward_samples", memory, drive, 0)
        else:
            current = drive.new_empty((batch, drive.shape[2]))
            memory["currents"] = current.data_ptr()
            each_step(lambda t: self._one("forward", memory, drive, t), before, spikes, recurrent,
                      current)  # fmt: skip

    def backward(
        self, values: Sequence[Tensor], drive: Tensor, recurrent: Tensor | None,
        states: Sequence[Tensor], by_spikes: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Run the adjoint of all steps."""
        steps, batch, n = by_spikes.shape
        by_drive = torch.empty_like(drive)
        by_states = [drive.new_zeros((batch, n)) for _ in states]
        totals = drive.new_zeros((len(self.code.active), batch, n), dtype=torch.float64)
        memory = self._memory(
            end=steps, batch=batch, n=n, stride=batch * n, ports=drive, by_spikes=by_spikes,
            by_ports=by_drive, totals=totals, values=values, states=states, by_states=by_states,
        )  # fmt: skip
        if recurrent is None:
            self._by_cells("backward", memory, drive)
        elif self._is_resident(n):
            weights = recurrent.contiguous()
            memory["weights"] = weights.data_ptr()
            self._by_samples("backward_samples", memory, drive, 2 * (drive.shape[2] + 3))
        else:
            by_before = drive.new_zeros((batch, n))
            memory["by_before"] = by_before.data_ptr()
            each_step_back(lambda t: self._one("backward", memory, drive, t), by_drive, recurrent,
                           by_before)  # fmt: skip
        return by_drive, totals.sum(1)

    def _is_resident(self, n: int) -> bool:
        return n <= WIDEST and len(self.code.ports) * n * n <= RESIDENT

    def _one(self, name: str, memory: np.ndarray, like: Tensor, t: int) -> None:
        memory["begin"], memory["end"] = t, t + 1
        self._by_cells(name, memory, like)

    def _by_cells(self, name: str, memory: np.ndarray, like: Tensor) -> None:
        blocks = -(-int(memory["batch"] * memory["n"]) // THREADS)
        cuda_driver.load(self.source, like.device).launch(name, blocks, THREADS, 0, memory)

    def _by_samples(self, name: str, memory: np.ndarray, like: Tensor, shared: int) -> None:
        threads = -(-int(memory["n"]) // WARP) * WARP
        cuda_driver.load(self.source, like.device).launch(
            name, int(memory["batch"]), threads, shared * like.element_size(), memory
        )

    def _memory(self, **fields: Tensor | int | Sequence[Tensor]) -> np.ndarray:
        """Return the structure as one numpy record of 8-byte numbers, with 0 for absent fields."""
        code = self.code
        memory = np.zeros((), [(name, np.int64) for _, name in members(self.code)])
        lists = {"values": [f"value_{name}" for name, _ in code.values],
                 "states": [f"state_{name}" for name in code.carried],
                 "by_states": [f"by_state_{name}" for name in code.carried]}  # fmt: skip
        for field, value in fields.items():
            pairs: Iterable[tuple[str, Tensor | int]] = (
                zip(lists[field], value, strict=True)
                if isinstance(value, Sequence)
                else [(field, value)]
            )
            for name, one in pairs:
                memory[name] = one.data_ptr() if isinstance(one, Tensor) else one
        return memory

    @cached_property
    def source(self) -> str:
        """The CUDA C++ source."""
        return source(self.code)
