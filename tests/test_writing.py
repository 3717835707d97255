"""Files that are written: whole or not at all, through links, never over what is read-only."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from by_hand import protocol, recording
from places import TESTS

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.comparison.result import comparison
from dendrosim.errors import DendrosimError
from dendrosim.figures.style import save_figure
from dendrosim.figures.traces import recording_figure
from dendrosim.files import replacing, target, write_made

V = np.full((1000, 1), -0.065)


def write(path, text="new"):
    with replacing(path) as temporary:
        temporary.write_text(text)


def left(folder):
    """Return what a writer left beside its files."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


class TestTargets:
    def test_a_link_stays_a_link_and_its_file_is_replaced(self, tmp_path):
        (tmp_path / "data").mkdir()
        real, link = tmp_path / "data" / "real.txt", tmp_path / "link.txt"
        real.write_text("old")
        link.symlink_to(real)
        write(link)
        assert link.is_symlink() and real.read_text() == "new"
        assert left(tmp_path) == left(tmp_path / "data") == []

    def test_a_link_to_nothing_makes_its_file(self, tmp_path):
        link = tmp_path / "link.txt"
        link.symlink_to(tmp_path / "later.txt")
        write(link)
        assert link.is_symlink() and (tmp_path / "later.txt").read_text() == "new"

    def test_a_read_only_file_is_not_replaced(self, tmp_path):
        """Issue 15, item 25; for the superuser too, who may write to it."""
        file = tmp_path / "a.txt"
        file.write_text("old")
        file.chmod(0o444)
        link = tmp_path / "link.txt"
        link.symlink_to(file)
        for path in (file, link):
            with pytest.raises(DendrosimError, match="it is read-only; take another name"):
                write(path)
        assert file.read_text() == "old" and left(tmp_path) == []

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
    def test_a_file_keeps_its_permissions(self, tmp_path, mode):
        file = tmp_path / "a.txt"
        file.write_text("old")
        file.chmod(mode)
        write(file)
        assert file.read_text() == "new" and stat.S_IMODE(file.stat().st_mode) == mode

    def test_a_new_file_has_what_the_mask_leaves(self, tmp_path):
        before = os.umask(0o027)
        try:
            write(tmp_path / "a.txt")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640

    def test_what_is_no_file_is_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "one").symlink_to(tmp_path / "two")
        (tmp_path / "two").symlink_to(tmp_path / "one")
        (tmp_path / "file").write_text("x")
        for name, told in [
            ("pipe", "a device or a pipe"), ("one", "circular link"), (".", "it is a folder"),
            ("none/a", "there is no folder"), ("file/a", "there is no folder"), ("a\0b", "null"),
        ]:  # fmt: skip
            with pytest.raises(DendrosimError, match=told):
                target(f"{tmp_path}/{name}")
        with pytest.raises(DendrosimError, match="a device or a pipe"):
            write("/dev/null")
        assert Path("/dev/null").is_char_device()

    def test_an_error_leaves_the_old_file(self, tmp_path):
        file = tmp_path / "a.txt"
        file.write_text("old")
        with pytest.raises(KeyError), replacing(file) as temporary:
            temporary.write_text("half")
            raise KeyError
        assert file.read_text() == "old" and left(tmp_path) == []

    def test_many_threads_write_one_file_whole(self, tmp_path):
        file, texts = tmp_path / "a.txt", [str(k) * 10_000 for k in range(8)]
        threads = [threading.Thread(target=write, args=(file, text)) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert file.read_text() in texts and left(tmp_path) == []

    @pytest.mark.parametrize("ending", ["nc", "png", "csv"])
    def test_the_command_line_refuses_before_the_run(self, tmp_path, capsys, ending):
        file = tmp_path / f"a.{ending}"
        file.write_text("old")
        file.chmod(0o444)
        arguments = ["run", "lif", "constant", "--device", "no such device", "--out", str(file)]
        assert main(arguments) == 2
        assert "it is read-only" in capsys.readouterr().err
        assert file.read_text() == "old"


#: Writes more than a file may have here, each in its own way; the limit stands for a full disk.
WRITERS = {
    "recording.nc": "recording([[0.5]], np.random.rand(40_000, 1), dt=2.5e-5).save(path)",
    "figure.png": "save_figure(recording_figure(recording([[0.5]], noise), one), path)",
    "figure.pdf": "save_figure(recording_figure(recording([[0.5]], noise), one), path)",
    "figure.svg": "save_figure(recording_figure(recording([[0.5]], noise), one), path)",
    "network.safetensors": "network().save(path)",
    "graph.nir": "write_graph(graph(), path)",
    "checkpoint.pt": "write_checkpoint(path, {'w': np.random.rand(20_000)})",
    "state.pt": "save_state(path, {}, {'w': torch.rand(20_000)})",
}
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {tests!r})
from by_hand import protocol, recording
import dendrosim as ds
from dendrosim.errors import DendrosimError
from dendrosim.figures.traces import recording_figure
from dendrosim.figures.style import save_figure

def network():
    return ds.Network.random([ds.Layer(ds.load_model("lif"), 100, 200)], n_out=10, seed=0)

def graph():
    import nir
    size = np.array([100])
    nodes = {{"input": nir.Input(size), "a": nir.Affine(np.ones((100, 100)), np.ones(100)),
             "output": nir.Output(size)}}
    return nir.NIRGraph(nodes, [("input", "a"), ("a", "output")])

path, one = Path({path!r}), protocol("1 uA/cm**2")
noise = np.random.default_rng(0).normal(0, 1, (1000, 1))
path.write_bytes(b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    {write}
except DendrosimError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["recording.nc", "figure.png", "figure.pdf", "figure.svg",
                                  "network.safetensors", "graph.nir", "checkpoint.pt",
                                  "state.pt"])  # fmt: skip
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path, name):
    """Issue 15, item 25: `.nc` on a full disk gave a sentence, and then a segmentation fault."""
    path = tmp_path / name
    write = WRITERS[name]
    if name.endswith(".pt"):
        pytest.importorskip("torch")
        room = "networks.torch_files" if "check" in name else "learn.training.resume"
        function = write.partition("(")[0]
        write = f"import torch; from dendrosim.{room} import {function}\n    " + write
    if name.endswith(".nir"):
        pytest.importorskip("nir")
        write = "from dendrosim.networks.nir_files import write_graph\n    " + write
    code = FULL.format(tests=str(TESTS), path=str(path), write=write)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines()[-1].startswith(f"{path}: cannot be written (")
    assert path.read_bytes() == b"old" and left(tmp_path) == []


def test_what_is_made_in_memory_is_what_is_written(tmp_path):
    made = recording([[0.5]], V)
    made.save(tmp_path / "a.nc")
    again = ds.load_recording(tmp_path / "a.nc")
    assert again.traces.identical(made.traces) and again.spikes(0).tolist() == [0.5]
    write_made(tmp_path / "b", lambda file: file.write(b"x" * 3))
    assert (tmp_path / "b").read_bytes() == b"xxx"


def test_a_comparison_is_written_whole_or_not_at_all(tmp_path, capsys):
    made = comparison([recording([[0.5]], V)], protocol("1 uA/cm**2"))
    (tmp_path / "comparison.png").write_bytes(b"old")
    (tmp_path / "comparison.png").chmod(0o444)
    with pytest.raises(DendrosimError, match=r"comparison\.png: cannot be written: it is read"):
        made.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.png"]
    arguments = ["compare", "lif", "--protocol", "constant", "--device", "x", "--out"]
    assert main([*arguments, str(tmp_path)]) == 2
    assert "it is read-only" in capsys.readouterr().err


def test_a_comparison_is_written_through_a_link_to_a_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    made = comparison([recording([[0.5]], V)], protocol("1 uA/cm**2"))
    made.save(tmp_path / "link")
    names = {"table.csv", "curves.csv", "table.json", "comparison.png", "m.nc"}
    assert {path.name for path in (tmp_path / "real").iterdir()} == names
    save_figure(recording_figure(made.recordings[0], made.protocol), tmp_path / "link" / "a.pdf")
