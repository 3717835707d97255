"""Import and export of weights: explicit mappings, checked shapes, no silent guesses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.errors import DendrosimError
from dendrosim.learn import TorchNetwork
from dendrosim.networks.convert import export_state_dict, import_state_dict

torch.set_num_threads(1)  # the tensors are small

#: Names in the authors' code of LSTM-LIF: recurrent weights with a bias, c_1 and c_2 in one.
NAMES = {
    "features.0.weight": (8, 2), "features.0.bias": (8,),
    "features.1.rec.weight": (8, 8), "features.1.rec.bias": (8,),
    "features.1.decay_factor": (1, 2),
    "features.2.weight": (6, 8), "features.2.bias": (6,),
    "features.3.decay_factor": (1, 2),
    "out.weight": (3, 6), "out.bias": (3,), "norm.num_batches_tracked": (),
}  # fmt: skip
MAPPING = [
    "features.0.weight=layers.0.input_weights.I",
    "features.0.bias + features.1.rec.bias = layers.0.bias.I",
    "features.1.rec.weight=layers.0.recurrent_weights.I",
    "features.1.decay_factor[0,0]=layers.0.parameters.c_1",
    "features.1.decay_factor[0,1]=layers.0.parameters.c_2",
    "features.2.weight=layers.1.input_weights.I", "features.2.bias=layers.1.bias.I",
    "features.3.decay_factor[0, 0]=layers.1.parameters.c_1",
    "features.3.decay_factor[0, 1]=layers.1.parameters.c_2",
    "out.weight=readout.weights", "out.bias=readout.bias",
]  # fmt: skip
IGNORE = ["norm.num_batches_tracked"]


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint as training scripts do; return its path and tensors."""
    generator = torch.Generator().manual_seed(0)
    tensors = {n: torch.randn(shape, generator=generator) for n, shape in NAMES.items()}
    wrapped = {f"module.{name}": torch.nn.Parameter(tensor) for name, tensor in tensors.items()}
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 7, "state_dict": wrapped, "optimizer": {"lr": 0.1}}, path)
    return path, {name: tensor.double().numpy() for name, tensor in tensors.items()}


def test_a_checkpoint_goes_where_the_mapping_says(checkpoint):
    path, tensors = checkpoint
    result = import_state_dict(path, "lstm_lif", MAPPING, IGNORE)
    network = result.network
    first, second = network.layers
    assert np.array_equal(first.input_weights["I"], tensors["features.0.weight"])
    assert np.array_equal(first.recurrent_weights["I"], tensors["features.1.rec.weight"])
    biases = tensors["features.0.bias"] + tensors["features.1.rec.bias"]
    assert np.array_equal(first.bias["I"], biases)
    assert first.parameters["c_2"] == tensors["features.1.decay_factor"][0, 1]
    assert first.recurrent and not second.recurrent
    assert np.array_equal(network.readout_weights, tensors["out.weight"])
    text = result.text()
    for row in (*NAMES, "(ignored)", "layers.1.parameters.c_1", "'state_dict'", "'module.'"):
        assert row in text
    assert "epoch, optimizer" in text
    assert json.loads(json.dumps(result.to_json()))["mapping"][0]["shape"] == "(8, 2)"


def test_the_command_prints_the_mapping_and_writes_the_network(checkpoint, capsys, tmp_path):
    path, _ = checkpoint
    out = tmp_path / "net.safetensors"
    options = [part for entry in MAPPING for part in ("--map", entry)]
    command = ["convert", str(path), "--model", "lstm_lif", *options, "--out", str(out)]
    assert main(command) == 2
    assert "not mapped and not ignored: norm.num_batches_tracked ()" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--ignore", IGNORE[0]]) == 0
    told = capsys.readouterr().out
    assert "features.1.rec.weight" in told and "layers.0.recurrent_weights.I" in told
    loaded = ds.load_network(out)
    assert repr(loaded) == "<Network 2-8-6-3 of lstm_lif, 163 weights>"
    for kind in ("pt", "safetensors"):
        again = tmp_path / f"again.{kind}"
        assert main(["convert", str(out), "--to", "state_dict", "--out", str(again)]) == 0
        same(import_state_dict(again, "lstm_lif", ["auto"]).network, loaded)


def same(a, b):
    """Compare two networks number by number."""
    for one, two in zip(a.layers, b.layers, strict=True):
        assert one.recurrent == two.recurrent
        for table in ("input_weights", "recurrent_weights", "bias"):
            mine, theirs = getattr(one, table), getattr(two, table)
            assert mine.keys() == theirs.keys()
            assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
        mine, theirs = one.values(), two.values()
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert np.array_equal(a.readout_weights, b.readout_weights)
    assert np.array_equal(a.readout_bias, b.readout_bias)


def random_network():
    rng = np.random.default_rng(0)
    layers = [
        ds.Layer("alif", 3, 5, recurrent=True, parameters={"tau_m": rng.uniform(5, 30, 5)}),
        ds.Layer("lrmm", 5, 4, recurrent=True, parameters={"w_CM": 0.5}),
        ds.Layer(ds.load_model("lif").with_(parameters={"beta": 0.7}), 4, 4),
    ]
    return ds.Network.random(layers, 2, seed=1)


@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors"])
def test_a_network_comes_back_from_a_state_dict(ending, tmp_path):
    network = random_network()
    names = export_state_dict(network, tmp_path / f"net.{ending}")
    assert "layers.2.parameters.beta" in names and "layers.0.parameters.tau_m" in names
    models = ["alif", "lrmm", "lif"]
    same(import_state_dict(tmp_path / f"net.{ending}", models, ["auto"]).network, network)
    if ending != "safetensors":
        plain = torch.load(tmp_path / f"net.{ending}", weights_only=True)
        assert all(tensor.dtype is torch.float64 for tensor in plain.values())


def test_the_state_dict_of_a_torch_network_is_understood(tmp_path):
    network = random_network()
    module = TorchNetwork(network, dtype=torch.float64)
    torch.save(module.state_dict(), tmp_path / "module.pt")
    result = import_state_dict(tmp_path / "module.pt", ["alif", "lrmm", "lif"], ["auto"])
    x = np.random.default_rng(1).random((2, 30, 3))
    a, b = (ds.run_network(n, x, device="numpy") for n in (network, result.network))
    assert all(np.array_equal(s, t) for s, t in zip(a.spikes, b.spikes, strict=True))


@pytest.mark.parametrize("n_out", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_and_a_conversion_name_the_same_tensors(n_out, dtype, tmp_path):
    network = random_network()
    network = network if n_out else ds.Network(network.layers)
    names = export_state_dict(network, tmp_path / "net.pt")
    export_state_dict(network, tmp_path / "net.safetensors")
    module = TorchNetwork(network, dtype=dtype)
    empty = set() if n_out else {"readout.weights", "readout.bias"}
    assert set(module.state_dict()) == {*names, *empty}
    blank = ds.Network.random([layer.with_(input_weights={}, recurrent_weights={}, bias={},
                                           parameters={}) for layer in network.layers],
                              n_out, seed=9)  # fmt: skip
    for read in (torch.load(tmp_path / "net.pt", weights_only=True),
                 load_file(tmp_path / "net.safetensors"), module.state_dict()):  # fmt: skip
        other = TorchNetwork(blank, dtype=dtype)
        assert other.load_state_dict(read).missing_keys == []
        for mine, theirs in zip(other.state_dict().items(), module.state_dict().items(),
                                strict=True):  # fmt: skip
            assert mine[0] == theirs[0] and torch.equal(mine[1], theirs[1])


def test_a_state_dict_of_the_former_names_is_read():
    network = random_network()
    module, other = (TorchNetwork(network) for _ in range(2))
    former = {}
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        former[name] = value.detach() + 1
    assert any("parameters_" in name for name in former) and "readout_bias" in former
    other.load_state_dict(former)
    for name, value in [*other.named_parameters(), *other.named_buffers()]:
        assert torch.equal(value, former[name])


def test_a_whole_number_of_few_bits_is_no_weight(tmp_path):
    for kind in ("int8", "uint8", "int16", "int32"):
        save_file({"w": np.ones((4, 2), kind)}, tmp_path / "q.safetensors")
        torch.save({"w": torch.ones(4, 2, dtype=getattr(torch, kind))}, tmp_path / "q.pt")
        for name in ("q.safetensors", "q.pt"):
            with pytest.raises(DendrosimError, match=f"w holds {kind}.*scale"):
                import_state_dict(tmp_path / name, "lif", ["w=layers.0.input_weights.I"])
    counts = {"w": np.ones((4, 2)), "steps": np.ones(2, "int32")}
    save_file(counts, tmp_path / "w.safetensors")  # ignored tensors may have any type
    import_state_dict(tmp_path / "w.safetensors", "lif", ["w=layers.0.input_weights.I"], ["steps"])


def saved(tmp_path, **arrays):
    save_file({name: np.asarray(a, dtype=float) for name, a in arrays.items()},
              tmp_path / "w.safetensors")  # fmt: skip
    return tmp_path / "w.safetensors"


def test_a_part_of_a_tensor(tmp_path):
    gates = np.arange(24.0).reshape(12, 2)
    path = saved(tmp_path, gates=gates)
    mapping = [f"gates[{4 * k}:{4 * k + 4}]=layers.0.input_weights.{p}"
               for k, p in enumerate("IFO")]  # fmt: skip
    (layer,) = import_state_dict(path, "lrmm", mapping).network.layers
    assert np.array_equal(layer.input_weights["O"], gates[8:])


# Without a mapping


def ordered(tmp_path, *shapes):
    """Write tensors whose sorted names keep this order."""
    tensors = {f"{k:02}": torch.ones(shape) for k, shape in enumerate(shapes)}
    torch.save(tensors, tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.mark.parametrize(
    ("shapes", "targets"),
    [
        ([(8, 2)], ["layers.0.input_weights.I"]),
        ([(8, 2), (8,), (3, 8), (3,)],
         ["layers.0.input_weights.I", "layers.0.bias.I", "readout.weights", "readout.bias"]),
        ([(8, 2), (6, 8), (6,), (3, 6)],
         ["layers.0.input_weights.I", "layers.1.input_weights.I", "layers.1.bias.I",
          "readout.weights"]),
    ],
)  # fmt: skip
def test_the_only_mapping_that_fits_is_found_and_told(shapes, targets, tmp_path, capsys):
    path = ordered(tmp_path, *shapes)
    with pytest.raises(DendrosimError, match=r"no mapping was given; --map auto would take"):
        import_state_dict(path, "lif")
    result = import_state_dict(path, "lif", ["auto"])
    assert [target for _, _, target in result.rows] == targets
    assert "check it" in result.text()
    assert main(["convert", str(path), "--model", "lif", "--out", f"{tmp_path}/n.safetensors"]) == 2
    told = capsys.readouterr().err
    assert all(f"--map {k:02}={target}" in told for k, target in enumerate(targets))
    assert not (tmp_path / "n.safetensors").exists()


@pytest.mark.parametrize(
    ("shapes", "model", "said"),
    [
        ([(8, 2), (8, 8), (3, 8)], "lif", "several mappings fit"),
        ([(8, 2), (8, 8)], "lif", "several mappings fit"),
        ([(8, 2), (3, 7)], "lif", "no mapping fits"),
        ([(8, 2), (1, 2), (3, 8)], "lstm_lif", "no mapping fits"),
        ([(8, 2), (3, 8), (3, 8, 1)], "lif", "more than matrices and biases"),
        ([(8, 2), (3, 8)], "lrmm", "several ports"),
    ],
)
def test_what_is_ambiguous_is_not_guessed(shapes, model, said, tmp_path):
    path = ordered(tmp_path, *shapes)
    for mapping in (None, ["auto"]):
        with pytest.raises(DendrosimError, match=said):
            import_state_dict(path, model, mapping)


def test_the_order_of_a_safetensors_file_means_nothing(tmp_path):
    with pytest.raises(DendrosimError, match="without an order"):
        import_state_dict(saved(tmp_path, w=np.ones((4, 2))), "lif")


def test_the_number_of_models_can_make_it_unambiguous(tmp_path):
    path = ordered(tmp_path, (8, 2), (8, 8), (3, 8))
    network = import_state_dict(path, ["lif", "alif"], ["auto"]).network
    assert [layer.model.name for layer in network.layers] == ["lif", "alif"]


# Refused input

W = "w=layers.0.input_weights.I"


@pytest.mark.parametrize(
    ("arrays", "mapping", "said"),
    [
        ({"w": np.ones((4, 2))}, ["w=layers.0.weights.I"], "not NAME=TARGET"),
        ({"w": np.ones((4, 2))}, ["w"], "not NAME=TARGET"),
        ({"w": np.ones((4, 2))}, ["=readout.weights"], "not NAME=TARGET"),
        ({"w": np.ones((4, 2))}, ["v=layers.0.input_weights.I"], "no tensor 'v'; valid: w"),
        ({"w": np.ones((4, 2))}, [W, W], "already given"),
        ({"w": np.ones((4, 2))}, ["w=layers.1.input_weights.I"], "layers.0 no input_weights"),
        ({"w": np.ones((4, 2))}, ["w=layers.0.input_weights.J"], "'J' is not a port"),
        ({"w": np.ones((4, 2)), "c": 1.0}, [W, "c=layers.0.parameters.gamma"],
         "'gamma' is not a parameter"),
        ({"w": np.ones(4)}, [W], "not two dimensions"),
        ({"w": np.ones((4, 2)), "r": np.ones((4, 3))}, [W, "r=layers.0.recurrent_weights.I"],
         r"shape \(4, 3\), but \(4, 4\) is needed"),
        ({"w": np.ones((4, 2)), "b": np.ones(3)}, [W, "b=layers.0.bias.I"], "shape"),
        ({"w": np.ones((4, 2)), "b": np.ones(3), "c": np.ones(4)}, [W, "b+c=layers.0.bias.I"],
         "cannot be added up"),
        ({"w": np.ones((4, 2)), "v": np.ones((3, 3))}, [W, "v=layers.1.input_weights.I"],
         "takes 3 inputs"),
        ({"w": np.ones((4, 2)), "b": np.ones(3)}, [W, "b=readout.bias"], "without readout.weights"),
        ({"w": np.ones((4, 2)), "r": np.ones((3, 5))}, [W, "r=readout.weights"], "readout_weights"),
        ({"w": np.ones((4, 2))}, ["w[0:2,5]=layers.0.input_weights.I"], "does not fit"),
        ({"w": np.full((4, 2), np.nan)}, [W], "not finite"),
        ({"w": np.ones((4, 2)), "x": np.ones(3)}, [W], r"not mapped and not ignored: x \(3,\)"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_is_told(arrays, mapping, said, tmp_path):
    with pytest.raises(DendrosimError, match=said):
        import_state_dict(saved(tmp_path, **arrays), "lif", mapping)


def test_other_bad_arguments(tmp_path):
    path = saved(tmp_path, w=np.ones((4, 2)))
    with pytest.raises(DendrosimError, match="no tensor 'b' to ignore"):
        import_state_dict(path, "lif", [W], ["b"])
    with pytest.raises(DendrosimError, match="need a model"):
        import_state_dict(path, [], [W])
    with pytest.raises(DendrosimError, match=r"1 layer\(s\), but 2 models"):
        import_state_dict(path, ["lif", "lif"], [W])
    with pytest.raises(DendrosimError, match="discrete"):
        import_state_dict(path, "kepecs_wang_2000", [W])
    with pytest.raises(DendrosimError, match="no such file"):
        import_state_dict(tmp_path / "none.pt", "lif", [W])
    with pytest.raises(DendrosimError, match="ends in"):
        export_state_dict(random_network(), tmp_path / "net.bin2")


def test_options_of_the_command_that_do_not_belong(tmp_path, capsys):
    path, out = str(saved(tmp_path, w=np.ones((4, 2)))), f"{tmp_path}/out.safetensors"
    for options, said in (
        (["--out", out], "needs --model"),
        (["--model", "lif", "--map", W, "--dt", "1", "--out", out], "--dt is for a NIR graph"),
        (["--model", "lif", "--map", W, "--out", f"{tmp_path}/out.txt"], "should end in"),
        (["--model", "lif", "--map", W, "--out", f"{tmp_path}/no/out.pt"], "no folder"),
        (["--model", "lif", "--map", W, "--to", "nir", "--out", out], "should end in .nir"),
    ):
        assert main(["convert", path, *options]) == 2
        assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
