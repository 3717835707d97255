"""Broken or malicious files of weights and inputs: one sentence, and no code is executed.

Each file is given to the command line, which must exit with status 2 and one line on stderr.  It
must leave neither output nor any other file.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

import dendrosim as ds
from dendrosim.cli.commands import main

RAN = "payload_ran"


class Payload:
    """Creates a file when unpickled."""

    def __reduce__(self):
        return Path.touch, (Path(RAN),)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder; at the end, check that no payload was executed."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not Path(RAN).exists()


def refused(capsys, *arguments):
    """Run a command that must fail; return its error message."""
    before = sorted(Path().rglob("*"))
    assert main(list(arguments)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1 and told.err.startswith("dendrosim: ")
    assert len(told.err) < 700
    assert "Traceback" not in told.err and "weights_only=False" not in told.err
    assert sorted(Path().rglob("*")) == before
    return told.err


def test_the_payload_is_live():
    pickle.loads(pickle.dumps(Payload()))
    assert Path(RAN).exists()
    Path(RAN).unlink()


# Torch checkpoints

GOOD = {"w": torch.ones(4, 2), "b": torch.ones(4)}
MAP = ("--map", "w=layers.0.input_weights.I", "--map", "b=layers.0.bias.I")


def zip_of(content, members=None):
    """Return a checkpoint as torch writes it, with changed members."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    if not members:
        return buffer.getvalue()
    changed = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            name = entry.filename.partition("/")[2]
            new.writestr(entry.filename, members.get(name, old.read(entry)))
    return changed.getvalue()


def legacy(content):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def bomb():
    """Return a small zip file that unpacks to 5 GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 1000)
    content = bytearray(buffer.getvalue())
    where = content.rindex(b"PK\x01\x02") + 24  # the size in the directory
    content[where : where + 4] = struct.pack("<I", 4_294_000_000)
    return bytes(content)


CHECKPOINTS = {
    "a payload in a zip": (lambda: zip_of(GOOD | {"x": Payload()}), "only tensors and plain"),
    "a payload beside the state_dict": (
        lambda: zip_of({"state_dict": GOOD, "extra": Payload()}), "only tensors and plain"),
    "a payload as data.pkl": (
        lambda: zip_of(GOOD, {"data.pkl": pickle.dumps(Payload(), 2)}), "only tensors and plain"),
    "a bare pickle": (lambda: pickle.dumps(Payload()), "zip format"),
    "the old format": (lambda: legacy(GOOD), "zip format"),
    "the old format with a payload": (lambda: legacy(GOOD | {"x": Payload()}), "zip format"),
    "a whole module": (lambda: zip_of(torch.nn.Linear(2, 4)), "holds torch.nn"),
    "nothing": (lambda: b"", "zip format"),
    "text": (lambda: b"w = 1", "zip format"),
    "cut short": (lambda: zip_of(GOOD)[:-200], "zip format"),
    "a zip of something else": (lambda: other_zip(), "not a readable"),
    "a zip bomb": (bomb, "unpacks to 4,294,000,000 bytes"),
    "a storage cut short": (lambda: zip_of(GOOD, {"data/0": b"\0" * 3}), "not a readable"),
    "not a dict": (lambda: zip_of([torch.ones(2)]), "holds list, not a state_dict"),
    "no tensors": (lambda: zip_of({"epoch": 3}), "no state_dict"),
    "two state_dicts": (lambda: zip_of({"model": GOOD, "net": GOOD}), "model, net"),
    "tensors and more": (lambda: zip_of(GOOD | {"epoch": 3}), "'epoch' is int"),
    "names that are numbers": (lambda: zip_of({0: torch.ones(2)}), "not a tensor with a name"),
    "an expanded tensor": (
        lambda: zip_of(GOOD | {"w": torch.ones(1).expand(10**6, 10**6)}), "more than are read"),
    "complex weights": (
        lambda: zip_of(GOOD | {"w": torch.ones(4, 2, dtype=torch.complex64)}), "real numbers"),
    "sparse weights": (lambda: zip_of(GOOD | {"w": torch.ones(4, 2).to_sparse()}), "dense"),
    "weights without numbers": (
        lambda: zip_of(GOOD | {"w": torch.ones(4, 2, device="meta")}), "dense tensor"),
    "NaN weights": (lambda: zip_of(GOOD | {"w": torch.full((4, 2), torch.nan)}), "not finite"),
    "infinite biases": (lambda: zip_of(GOOD | {"b": torch.full((4,), torch.inf)}), "not finite"),
    "a wrong shape": (lambda: zip_of(GOOD | {"b": torch.ones(5)}), "(5,), but (4,) is needed"),
    "one dimension": (lambda: zip_of(GOOD | {"w": torch.ones(4)}), "not two dimensions"),
    "no neurons": (lambda: zip_of({"w": torch.ones(0, 2), "b": torch.ones(0)}), "whole number"),
}  # fmt: skip


def other_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return buffer.getvalue()


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_a_checkpoint_is_refused(name, capsys):
    content, said = CHECKPOINTS[name]
    Path("hostile.pt").write_bytes(content())
    told = refused(capsys, "convert", "hostile.pt", "--model", "lif", *MAP,
                   "--out", "net.safetensors")  # fmt: skip
    assert "hostile.pt" in told and said in told


def test_a_torch_whose_protection_leaks_is_not_used(monkeypatch, capsys):
    Path("good.pt").write_bytes(zip_of(GOOD))
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    told = refused(capsys, "convert", "good.pt", "--model", "lif", *MAP, "--out", "n.safetensors")
    assert "torch 2.10 or later" in told


def test_a_good_checkpoint_is_not():
    Path("good.pt").write_bytes(zip_of(GOOD))
    command = ["convert", "good.pt", "--model", "lif", *MAP, "--out", "net.safetensors"]
    assert main(command) == 0 and Path("net.safetensors").exists()


# Networks


def network_file(head=None, layers=None, tensors=None, drop=()):
    """Return the bytes of a network file with changed parts."""
    layer = ds.Layer("lif", 2, 3, recurrent=True)
    ds.Network.random([layer], 2).save("good.safetensors")
    content = Path("good.safetensors").read_bytes()
    Path("good.safetensors").unlink()
    size = struct.unpack("<Q", content[:8])[0]
    meta = json.loads(content[8 : 8 + size]).pop("__metadata__")
    entries = json.loads(meta["layers"])
    if layers:
        entries = layers(entries)
    meta = meta | {"layers": json.dumps(entries)} | (head or {})
    held = {
        "layers.0.input_weights.I": np.ones((3, 2)),
        "layers.0.recurrent_weights.I": np.ones((3, 3)), "layers.0.bias.I": np.zeros(3),
        "readout.weights": np.ones((2, 3)), "readout.bias": np.zeros(2),
    }  # fmt: skip
    held = {name: a for name, a in (held | (tensors or {})).items() if name not in drop}
    return save(held, metadata=meta)


def text(**changes):
    """Change the model inside the file."""

    def change(entries):
        entries[0]["model"] |= changes
        return entries

    return lambda: network_file(layers=change)


def entry(**changes):
    """Change the description of the layer in the file."""
    return lambda: network_file(layers=lambda entries: [entries[0] | changes])


def raw(head, body=b""):
    """Return a safetensors file with any header."""
    content = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(content)) + content + body


CODE = "__import__('pathlib').Path('payload_ran').touch()"
HUGE = {"dtype": "F64", "shape": [10**9, 10**9], "data_offsets": [0, 8]}
NETWORKS = {
    "code in the update": (text(update=f"U = I\nS = int({CODE} > 1)"), "is not a func|other than"),
    "code as a call": (text(update="U = exec(I)\nS = int(U > 1)"), "is not a function"),
    "code in a name": (text(update="__class__ = I\nS = int(I > 1)"), "not an assignment"),
    "code in a value": (text(parameters={"beta": {"value": CODE}}), "is not a number|not known"),
    "code in derived": (text(derived={"beta2": CODE}), "function|other than"),
    "code in a C++ comment": (text(update="U = I //* 1\nS = int(U > 1)"), "not an expr|other"),
    "a continuous model": (text(kind="continuous"), "has no key"),
    "a key of its own": (text(run="rm -rf"), "unknown key"),
    "no model": (entry(model=None), "not a table|network"),
    "a model that is a list": (entry(model=[1]), "not a table|network"),
    "no layers": (lambda: network_file(layers=lambda _: []), "needs a layer|no layer has"),
    "the same layer again": (
        lambda: network_file(layers=lambda e: [e[0], e[0] | {"n_in": 3}]), "lacks its input"),
    "duplicate layers": (lambda: network_file(layers=lambda e: e * 2), "layer 1|layers.1"),
    "layers that are not JSON": (lambda: network_file(head={"layers": "{"}), "not a dendrosim"),
    "layers that are a number": (lambda: network_file(head={"layers": "3"}), "not a dendrosim"),
    "metadata that are not JSON": (lambda: network_file(head={"metadata": "{"}), "not a dendro"),
    "metadata that are a list": (lambda: network_file(head={"metadata": "[1, 2]"}), "dendrosim"),
    "JSON nested deep": (
        lambda: network_file(head={"metadata": "[" * 10**5 + "]" * 10**5}), "not a dendrosim"),
    "a number with many digits": (
        lambda: network_file(head={"metadata": "1" * 10**5}), "not a dendrosim"),
    "another format": (lambda: network_file(head={"format": "x"}), "not a dendrosim network"),
    "no metadata": (lambda: save({"w": np.ones(3)}), "not a dendrosim network"),
    "a listed tensor is not there": (
        lambda: network_file(head={"tensors": '["layers.0.bias.I", "gone"]'}),
        "lacks the tensors 'gone'"),
    "a list of tensors that is a number": (
        lambda: network_file(head={"tensors": "3"}), "not a dendrosim"),
    "another order of the steps": (
        lambda: network_file(head={"order": "backwards"}), "order = 'backwards' is not known"),
    "recurrent by a word": (entry(recurrent="no"), "recurrent = 'no' is not True or False"),
    "more neurons than weights": (entry(n=10**12), "n = 1000000000000 is more than 10000000"),
    "one neuron more than weights": (entry(n=4), "shape"),
    "a size that is text": (entry(n="3"), "whole number"),
    "a size below 1": (entry(n=-3), "whole number"),
    "a wrong shape": (
        lambda: network_file(tensors={"layers.0.bias.I": np.zeros(4)}), "(4,), but (3,)"),
    "NaN weights": (
        lambda: network_file(tensors={"layers.0.bias.I": np.full(3, np.nan)}), "not finite"),
    "a tensor of nothing": (
        lambda: network_file(tensors={"layers.7.bias.I": np.zeros(3)}), "no layer has"),
    "a port of nothing": (
        lambda: network_file(tensors={"layers.0.bias.Q": np.zeros(3)}), "not a port"),
    "no weights": (lambda: network_file(drop=["layers.0.input_weights.I"]), "layers.0"),
    "no recurrent weights": (
        lambda: network_file(drop=["layers.0.recurrent_weights.I"]), "layers.0"),
    "no readout": (
        lambda: network_file(drop=["readout.weights"]), "lacks the tensors 'readout.weights'"),
    "no bias": (
        lambda: network_file(drop=("layers.0.bias.I",)), "lacks the tensors 'layers.0.bias.I'"),
    "cut short": (lambda: network_file()[:-9], "not a readable safetensors"),
    "cut in the header": (lambda: network_file()[:40], "not a readable safetensors"),
    "nothing": (lambda: b"", "not a readable safetensors"),
    "a header of many exabytes": (
        lambda: struct.pack("<Q", 2**63) + b"{}", "not a readable safetensors"),
    "a header larger than the file": (
        lambda: struct.pack("<Q", 10**8) + b"{}", "not a readable safetensors"),
    "a header that is not JSON": (lambda: raw(b"{{{"), "not a readable safetensors"),
    "a header of brackets": (lambda: raw(b"[" * 10**5), "not a readable safetensors"),
    "a tensor of absurd size": (lambda: raw({"w": HUGE}, b"\0" * 8), "not a readable safet"),
    "a tensor beyond the file": (
        lambda: raw({"w": {"dtype": "F64", "shape": [4], "data_offsets": [0, 32]}}),
        "not a readable safetensors"),
    "tensors that overlap": (
        lambda: raw({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]},
                     "b": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        "not a readable safetensors"),
    "a pickle": (lambda: pickle.dumps(Payload()), "not a readable safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_file_is_refused(name, capsys):
    content, said = NETWORKS[name]
    Path("hostile.safetensors").write_bytes(content())
    np.save("x.npy", np.ones((1, 3, 2)))
    told = refused(capsys, "verify", "hostile.safetensors", "--input", "x.npy",
                   "--device", "torch", "numpy")  # fmt: skip
    assert "hostile.safetensors" in told and any(part in told for part in said.split("|")), told


def test_a_good_network_file_is_not(capsys):
    Path("good.safetensors").write_bytes(network_file())
    np.save("x.npy", np.ones((1, 3, 2)))
    command = ["verify", "good.safetensors", "--input", "x.npy", "--device", "torch", "numpy"]
    assert main(command) == 0
    assert "equal in every bin" in capsys.readouterr().out


# Inputs


def npy(shape, body=b"", kind="<f8"):
    """Return a .npy file with any header."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + body


def objects():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(), Payload()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def archive():
    buffer = io.BytesIO()
    np.savez(buffer, x=np.ones((3, 2)))
    return buffer.getvalue()


INPUTS = {
    "a payload": (objects, "not a readable .npy"),
    "a bare pickle": (lambda: pickle.dumps(Payload()), "not a readable .npy"),
    "an archive": (archive, "not a readable .npy"),
    "nothing": (lambda: b"", "not a readable .npy"),
    "a header of absurd size": (lambda: npy((10**6, 10**6, 2)), "not a readable .npy"),
    "a size that overflows": (lambda: npy((2**62, 2**62, 2)), "not a readable .npy"),
    "a size below 0": (lambda: npy((-1, 3, 2)), "not a readable .npy"),
    "cut short": (lambda: npy((1, 3, 2), b"\0" * 40), "not a readable .npy"),
    "code in the header": (lambda: npy(f"({CODE}, 2)"), "not a readable .npy"),
    "a sum in the header": (lambda: npy("1+1"), "its header is not one of plain values"),
    "a long header": (lambda: npy("(1, 3, " + " " * 20_000 + "2)"), "not a readable .npy"),
    "text": (lambda: npy((1, 3, 2), b"\0" * 24, "<U1"), "not numbers"),
    "complex": (lambda: npy((1, 3, 2), b"\0" * 96, "<c16"), "numbers"),
    "NaN": (lambda: npy((1, 3, 2), b"\xff" * 48), "not finite"),
    "a wrong shape": (lambda: npy((1, 3, 4), b"\0" * 96), "(B, T, 2) is needed"),
    "no samples": (lambda: npy((0, 3, 2)), "readable|is needed"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_refused(name, capsys):
    content, said = INPUTS[name]
    Path("good.safetensors").write_bytes(network_file())
    Path("hostile.npy").write_bytes(content())
    told = refused(capsys, "verify", "good.safetensors", "--input", "hostile.npy",
                   "--device", "torch", "numpy")  # fmt: skip
    assert any(part in told for part in said.split("|")), told
    assert "<ast." not in told and "0x" not in told


def test_files_that_are_not_there(capsys):
    np.save("x.npy", np.ones((1, 3, 2)))
    Path("folder.safetensors").mkdir()
    Path("good.safetensors").write_bytes(network_file())
    for network, x in (
        ("none.safetensors", "x.npy"), ("folder.safetensors", "x.npy"),
        ("good.safetensors", "none.npy"), ("good.safetensors", "folder.safetensors"),
        ("nul\0.safetensors", "x.npy"), ("good.safetensors", "nul\0.npy"),
    ):  # fmt: skip
        told = refused(capsys, "verify", network, "--input", x, "--device", "torch", "numpy")
        assert "no such file" in told


def test_a_network_that_may_not_be_read_is_there(capsys, here, monkeypatch):
    ds.Network.random([ds.Layer("lif", 2, 3)], n_out=1).save("net.safetensors")
    opened = Path.open

    def refuse(path, *arguments, **options):
        if path.name == "net.safetensors":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert "net.safetensors: cannot be read (Permission denied)" in refused(
        capsys, "evaluate", "net.safetensors"
    )
