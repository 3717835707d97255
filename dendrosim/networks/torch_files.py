"""Torch checkpoints as plain arrays, read without executing any code in them.

``torch.load`` unpickles, and a pickle can execute code; ``weights_only=True`` reads tensors and
plain values and refuses everything else.  The size of the remaining data is checked before reading.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dendrosim.errors import DendrosimError
from dendrosim.files import write_made
from dendrosim.networks.tensors import MAX_BYTES

#: Older versions allow the protection to be bypassed (CVE-2025-32434, CVE-2026-24747).
SAFE = (2, 10)
#: Keys under which training scripts usually store the state_dict.
USUAL_KEYS = ("state_dict", "model_state_dict", "model", "network", "net")


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the tensors of a checkpoint written by ``torch.save``.

    Returns
    -------
    tensors : dict
        Name to array in the order of the file, as float64 or the file's integer type.
    notes : list of str
        What was left out, one sentence each.

    Raises
    ------
    DendrosimError
        If it is not a checkpoint of torch 1.6 or later, contains anything but tensors and plain
        values, or is too large; also if the installed torch is older than `SAFE`.
    """
    _check_version(path)
    _check_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken or hostile pickle can raise any error
        raise DendrosimError(f"{path}: {_reason(error)}") from None
    notes: list[str] = []
    tensors = _state_dict(content, path, notes)
    total = sum(tensor.numel() for tensor in tensors.values())
    if total > MAX_BYTES // 8:  # an expanded tensor is small in the file but not in memory
        raise DendrosimError(f"{path}: holds {total:,} numbers, more than are read")
    return {name: _array(tensor, f"{path}: {name}") for name, tensor in tensors.items()}, notes


def write_checkpoint(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a state_dict of plain tensors.

    Raises
    ------
    DendrosimError
        If the folder is not writable.
    """
    content = {name: torch.tensor(np.asarray(array)) for name, array in tensors.items()}
    write_made(path, lambda file: torch.save(content, file))


def _check_version(path: Path) -> None:
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < SAFE:
        raise DendrosimError(
            f"{path}: torch {torch.__version__} does not read checkpoints safely: torch "
            f"{SAFE[0]}.{SAFE[1]} or later is needed, or the weights as .safetensors"
        )


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise DendrosimError(
            f"{path}: not a torch checkpoint in the zip format of torch 1.6 or later; save an "
            "older one again with torch.save"
        ) from None
    if size > MAX_BYTES:
        raise DendrosimError(f"{path}: unpacks to {size:,} bytes, more than the {MAX_BYTES:,} read")


def _reason(error: Exception) -> str:
    # torch's own message advises disabling the protection
    found = re.search(r"GLOBAL (\S+)", str(error))
    if found:
        return f"holds {found[1]}; only tensors and plain values are read, and nothing was run"
    return f"not a readable torch checkpoint ({type(error).__name__}); nothing in it was run"


def _state_dict(content: Any, path: Path, notes: list[str]) -> dict[str, torch.Tensor]:
    """Return the state_dict: the file itself, or the only usual key that holds tensors."""
    if not isinstance(content, Mapping):
        raise DendrosimError(f"{path}: holds {type(content).__name__}, not a state_dict")
    if not any(isinstance(value, torch.Tensor) for value in content.values()):
        keys = [key for key in USUAL_KEYS if _has_tensors(content.get(key))]
        if len(keys) != 1:
            several = f"; several of its keys hold tensors: {', '.join(keys)}" if keys else ""
            raise DendrosimError(f"{path}: holds no state_dict{several}")
        beside = ", ".join(str(key) for key in content if key != keys[0])
        left = f"; left out: {beside}" if beside else ""
        notes.append(f"the state_dict is under the key {keys[0]!r}{left}")
        content = content[keys[0]]
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise DendrosimError(
                f"{path}: {name!r} is {type(value).__name__}, not a tensor with a name"
            )
    return dict(content)


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, torch.Tensor) for v in value.values())


def _array(tensor: torch.Tensor, where: str) -> np.ndarray:
    plain = tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_meta
    if not plain or tensor.is_complex() or tensor.is_nested:
        raise DendrosimError(f"{where} is not a dense tensor of real numbers")
    kind = tensor.dtype if not tensor.is_floating_point() else torch.float64
    return tensor.detach().to(kind).resolve_neg().contiguous().numpy()
