"""NIR files: HDF5, checked before any data is read into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dendrosim.errors import DendrosimError
from dendrosim.files import write_made
from dendrosim.hdf5 import check_hdf5
from dendrosim.networks.tensors import MAX_BYTES

MAX_DEPTH = 20
MAX_ENTRIES = 100_000


def nir_package() -> Any:
    """Return the package ``nir``.

    Raises
    ------
    DendrosimError
        If it is not installed, or is older than ``v_reset``.
    """
    try:
        import nir
    except ImportError:
        raise DendrosimError("NIR is not installed: pip install 'dendrosim[nir]'") from None
    if "v_reset" not in nir.LIF.__dataclass_fields__:
        raise DendrosimError(
            "the installed NIR has no v_reset: pip install --upgrade 'dendrosim[nir]'"
        )
    return nir


def read_graph(path: Path, needs_reset: bool = True) -> Any:
    """Read a NIR file.

    Parameters
    ----------
    path
        The file.
    needs_reset
        Whether to refuse neurons without ``v_reset``, because NIR has changed their reset.

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    DendrosimError
        If the file does not exist, is not a NIR graph, is too large or refers to other files.
    """
    nir = nir_package()
    import h5py

    if not path.is_file():
        raise DendrosimError(f"{path}: there is no such file")
    check_hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            _look(file, path, needs_reset, [0, 0], 0)
        graph = nir.read(path)
    except DendrosimError:
        raise
    except Exception as error:  # h5py and nir raise many error types for a broken file
        said = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise DendrosimError(f"{path}: not a readable NIR graph ({said})") from None
    if not isinstance(graph, nir.NIRGraph):
        raise DendrosimError(f"{path}: holds a single {type(graph).__name__}, not a graph")
    return graph


def write_graph(graph: Any, path: Path) -> None:
    """Write a NIR file.

    Raises
    ------
    DendrosimError
        If the folder is not writable.
    """
    nir = nir_package()
    write_made(path, lambda file: nir.write(file, graph))


def _look(group: Any, path: Path, needs_reset: bool, sums: list[int], depth: int) -> None:
    """Refuse links, external storage, and files with too many entries or bytes."""
    import h5py

    if depth > MAX_DEPTH:
        raise DendrosimError(f"{path}: nested more than {MAX_DEPTH} deep")
    for key in group:
        sums[0] += 1
        if sums[0] > MAX_ENTRIES:
            raise DendrosimError(f"{path}: more than {MAX_ENTRIES:,} entries")
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise DendrosimError(f"{path}: {group.name}/{key} is a link, which is not followed")
        item = group[key]
        if isinstance(item, h5py.Group):
            _look(item, path, needs_reset, sums, depth + 1)
            continue
        if item.is_virtual or item.external:
            raise DendrosimError(f"{path}: {item.name} lies in another file")
        sums[1] += item.size * item.dtype.itemsize
        if sums[1] > MAX_BYTES:
            raise DendrosimError(f"{path}: larger than {MAX_BYTES:,} bytes")
    kind = group["type"][()] if isinstance(group.get("type"), h5py.Dataset) else b""
    if needs_reset and kind in (b"LIF", b"IF", b"CubaLIF") and "v_reset" not in group:
        raise DendrosimError(
            f"{path}: {group.name} has no v_reset; older NIR files mean that the threshold is "
            "subtracted, newer ones that the reset is to 0: give reset = v_reset or subtract"
        )
