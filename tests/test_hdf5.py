"""HDF5 files by which the HDF5 library hangs or crashes: each is refused in a sentence."""

from __future__ import annotations

import os
import signal
import struct
import threading

import h5py
import numpy as np
import pytest
from fuzz.kinds import KINDS, seeds_of

from dendrosim import hdf5
from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks import heidelberg
from dendrosim.networks.nir import from_nir
from dendrosim.simulation.recording import load_recording

READERS = {
    ".nc": load_recording,
    ".nir": lambda path: from_nir(path, 0.5),
    ".h5": lambda path: heidelberg.Spikes(path, 20, heidelberg.BINNINGS["even"]),
}


def good(ending: str) -> bytes:
    """Return a good file with a global heap."""
    if ending != ".h5":
        name = {".nc": "recording", ".nir": "nir"}[ending]
        return seeds_of(name)[0]
    with h5py.File("spikes.h5", "w", driver="core", backing_store=False) as file:
        floats, whole = h5py.vlen_dtype("f4"), h5py.vlen_dtype("u2")
        times = file.create_dataset("spikes/times", (2,), floats)
        units = file.create_dataset("spikes/units", (2,), whole)
        file["labels"] = np.array([0, 1])
        for k in range(2):
            times[k], units[k] = [0.1, 0.2], [3, 4]
        file.flush()
        return file.id.get_file_image()


def free_object(content: bytes, start: int) -> int:
    """Return where the free object of a heap lies."""
    at = start + 16
    while struct.unpack_from("<H", content, at)[0]:
        at += 16 + -(-struct.unpack_from("<Q", content, at + 8)[0] // 8) * 8
    return at


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("object_", ["first", "free"])
@pytest.mark.parametrize("length", [0, 2**64 - 16, 2**64 - 8, 2**63, 2**40])
def test_a_length_that_leads_nowhere_is_refused(ending, object_, length, tmp_path):
    content = bytearray(good(ending))
    path = tmp_path / f"lies{ending}"
    path.write_bytes(content)
    hdf5.check_hdf5(path)
    start = content.find(b"GCOL")
    at = start + 16 if object_ == "first" else free_object(content, start)
    struct.pack_into("<Q", content, at + 8, length)
    path.write_bytes(content)
    if object_ == "first" and length == 0:
        return  # an empty object is one
    with pytest.raises(DendrosimError, match=r"of the heap at byte \d+ is [\d,]+ bytes long"):
        hdf5.check_heaps(path)  # or the next would run for ever
    with pytest.raises(DendrosimError, match="damaged HDF5 file"):
        READERS[ending](path)


def test_the_name_of_a_heap_in_data_is_no_heap(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.frombuffer(b"GCOL\x01\x00\x00\x00" * 100, "u1")
    hdf5.check_hdf5(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGPROF", "SIGKILL"])
def test_a_file_that_ends_the_process_is_refused(name, tmp_path, monkeypatch):
    """As one that crashes the library, that takes too long, or that takes all memory."""
    (tmp_path / "probe.py").write_text(
        f"import os, signal, sys\nsys.stdin.readline()\nos.kill(os.getpid(), signal.{name})\n"
    )
    (tmp_path / "good.nc").write_bytes(good(".nc"))
    monkeypatch.setattr(hdf5, "_PROBE", tmp_path / "probe.py")
    monkeypatch.setattr(hdf5, "_probes", hdf5._Probes())
    number = int(getattr(signal, name))
    with pytest.raises(DendrosimError, match=rf"good\.nc: not a .*with status -{number}"):
        load_recording(tmp_path / "good.nc")


class TestTheProcess:
    """What happens to the process that reads first."""

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "good.nc"
        path.write_bytes(good(".nc"))
        hdf5.check_hdf5(path)
        return path

    def test_one_serves_all_files(self, path):
        number = hdf5._probes._process.pid
        hdf5.check_hdf5(path)
        assert hdf5._probes._process.pid == number

    def test_it_starts_anew_after_its_end(self, path):
        os.kill(hdf5._probes._process.pid, signal.SIGKILL)
        hdf5.check_hdf5(path)
        assert load_recording(path)

    def test_a_stopped_question_leaves_no_answer(self, path, monkeypatch):
        class Stopped:
            def __init__(self, pipe):
                self.close = pipe.close

            def readline(self):
                raise KeyboardInterrupt

        process = hdf5._probes._process
        monkeypatch.setattr(process, "stdout", Stopped(process.stdout))
        with pytest.raises(KeyboardInterrupt):
            hdf5.check_hdf5(path)
        assert process.poll() is not None
        hdf5.check_hdf5(path)

    def test_threads_take_turns(self, path):
        told = []

        def ask():
            for _ in range(5):
                try:
                    hdf5.check_hdf5(path)
                except DendrosimError as error:
                    told.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not told

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n"])
    def test_what_is_no_hdf5_is_told(self, content, tmp_path):
        path = tmp_path / "a.nc"
        path.write_bytes(content)
        with pytest.raises(DendrosimError, match=r"a\.nc"):
            hdf5.check_hdf5(path)


def test_the_kinds_of_hdf5_are_fuzzed():
    assert {".nir", ".nc"} <= {kind.ending for kind in KINDS.values()}
