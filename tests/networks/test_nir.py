"""NIR graphs: exact compared with matrix exponentials, round trip, and refusal with a reason."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from reference import nir_steps
from scipy.linalg import expm

import dendrosim as ds
from dendrosim.cli.commands import main
from dendrosim.errors import DendrosimError
from dendrosim.networks.nir import from_nir, proposed_dt, to_nir
from dendrosim.networks.nir_files import read_graph, write_graph

N_IN, N, DT = 4, 6, 0.5


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def neurons(kind, n=N, seed=0, equal_taus=False):
    """Return a NIR node of neurons with different parameters."""
    rng = np.random.default_rng(seed)
    few = {"r": rng.uniform(0.8, 1.5, n), "v_threshold": rng.uniform(0.3, 0.6, n),
           "v_reset": rng.uniform(-0.2, 0.1, n)}  # fmt: skip
    leak = {"v_leak": rng.uniform(-0.1, 0.1, n)}
    if kind == "IF":
        return nir.IF(**few)
    if kind == "LIF":
        return nir.LIF(tau=rng.uniform(2, 20, n), **few, **leak)
    if kind == "LI":
        return nir.LI(tau=rng.uniform(2, 20, n), r=few["r"], **leak)
    tau = rng.uniform(2, 20, n)
    syn = tau.copy() if equal_taus else rng.uniform(1, 10, n)
    return nir.CubaLIF(syn, tau, **few, **leak, w_in=rng.uniform(0.5, 2, n))


def weights(n, n_in, seed, bias=True):
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(-0.6, 1.2, (n, n_in)) * (1.5 if seed == 0 else 15)
    return nir.Affine(matrix, rng.uniform(0, 0.2, n)) if bias else nir.Linear(matrix)


def graph_of(*layers, flat=True, back=nir.Linear, readout=True, last=None):
    """Return a graph of layers of neurons, each with recurrent weights.

    `flat` puts the recurrent weights into the graph, otherwise into a subgraph.
    """
    nodes, edges, before, n_in = {"in": nir.Input(np.array([N_IN]))}, [], "in", N_IN
    for k, node in enumerate(layers):
        loop = 0.3 * np.random.default_rng(50 + k).uniform(-1, 1, (N, N))
        loop = nir.Affine(loop, np.full(N, 0.05)) if back is nir.Affine else nir.Linear(loop)
        nodes[f"w{k}"] = weights(N, n_in, k, bias=k % 2 == 0)
        edges.append((before, f"w{k}"))
        if flat:
            nodes |= {f"n{k}": node, f"r{k}": loop}
            edges += [(f"w{k}", f"n{k}"), (f"n{k}", f"r{k}"), (f"r{k}", f"n{k}")]
        else:
            ends = {"input": nir.Input(np.array([N])), "output": nir.Output(np.array([N]))}
            nodes[f"n{k}"] = nir.NIRGraph(
                {**ends, "lif": node, "w_rec": loop},
                [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
            )
            edges.append((f"w{k}", f"n{k}"))
        before, n_in = f"n{k}", N
    if readout:
        nodes["read"] = weights(3, N, 90)
        edges.append((before, "read"))
        before = "read"
    if last is not None:
        nodes["last"] = last
        edges.append((before, "last"))
        before = "last"
    size = 3 if readout else N
    return nir.NIRGraph({**nodes, "out": nir.Output(np.array([size]))}, [*edges, (before, "out")])


def derivative(node, j):
    """Return A of d/dt (v, i, input, 1) = A (v, i, input, 1) for neuron j."""
    a = np.zeros((4, 4))
    r = node.r[j]
    if isinstance(node, nir.CubaLIF):
        a[0] = [-1 / node.tau_mem[j], r / node.tau_mem[j], 0, node.v_leak[j] / node.tau_mem[j]]
        a[1, 1:3] = -1 / node.tau_syn[j], node.w_in[j] / node.tau_syn[j]
    elif isinstance(node, nir.IF):
        a[0, 2] = r
    else:
        a[0] = [-1 / node.tau[j], 0, r / node.tau[j], node.v_leak[j] / node.tau[j]]
    return a


def simulated(layers, x, convention, subtract=False, back_bias=0.0):
    """Simulate the graph of `graph_of` with a separate loop: matrix exponentials or Euler steps."""
    steps = []
    for node in layers:
        a = [derivative(node, j) for j in range(N)]
        exact = convention == "exact"
        steps.append(np.array([expm(DT * m) if exact else np.eye(4) + DT * m for m in a]))
    rasters = [np.zeros((len(x), x.shape[1], N), dtype=bool) for _ in layers]
    for sample, sequence in enumerate(x):
        state = [np.zeros((N, 2)) for _ in layers]
        fired = [np.zeros(N) for _ in layers]
        for t, signal in enumerate(sequence):
            below = signal
            for k, node in enumerate(layers):
                w = weights(N, len(below), k, bias=k % 2 == 0)
                loop = 0.3 * np.random.default_rng(50 + k).uniform(-1, 1, (N, N))
                drive = w.weight @ below + loop @ fired[k] + getattr(w, "bias", 0.0) + back_bias
                full = np.column_stack([state[k], drive, np.ones(N)])
                state[k] = np.einsum("nij,nj->ni", steps[k], full)[:, :2]
                fired[k] = (state[k][:, 0] > node.v_threshold).astype(float)
                hit = fired[k] > 0
                if subtract:
                    state[k][hit, 0] -= node.v_threshold[hit]
                else:
                    state[k][hit, 0] = node.v_reset[hit]
                rasters[k][sample, t] = hit
                below = fired[k]
    return rasters


# The meaning of imported graphs


@pytest.mark.parametrize("convention", ["exact", "euler"])
@pytest.mark.parametrize(
    ("kinds", "options"),
    [
        (("LIF", "CubaLIF"), {"flat": False}),
        (("IF", "LIF"), {"flat": True, "back": nir.Affine}),
        (("CubaLIF", "IF"), {"flat": True}),
    ],
)
def test_spikes_are_those_of_the_equations(kinds, options, convention, rng):
    layers = [neurons(kind, seed=k) for k, kind in enumerate(kinds)]
    network = from_nir(graph_of(*layers, **options), DT, convention)
    x = rng.random((3, 60, N_IN))
    out = ds.run_network(network, x, device="numpy", progress=False)
    bias = 0.05 if options.get("back") is nir.Affine else 0.0
    expected = simulated(layers, x, convention, back_bias=bias)
    for got, wanted in zip(out.spikes, expected, strict=True):
        assert np.array_equal(got, wanted) and 0.02 < wanted.mean() < 0.9
    read = weights(3, N, 90)
    assert np.allclose(out.readout, expected[-1] @ read.weight.T + read.bias, atol=1e-12)


def test_equal_time_constants_and_a_reset_by_subtraction(rng):
    layers = [neurons("CubaLIF", equal_taus=True), neurons("LIF", seed=1)]
    x = rng.random((2, 60, N_IN))
    for convention in ("exact", "euler"):
        network = from_nir(graph_of(*layers), DT, convention, reset="subtract")
        out = ds.run_network(network, x, device="numpy", progress=False)
        expected = simulated(layers, x, convention, subtract=True)
        assert all(np.array_equal(a, b) for a, b in zip(out.spikes, expected, strict=True))
        assert all(wanted.mean() > 0.02 for wanted in expected)


def test_a_last_leaky_integrator_is_recorded(rng):
    node = neurons("LI", 3, seed=4)
    network = from_nir(graph_of(neurons("LIF"), last=node), DT)
    assert network.n_out == 0 and network.layers[1].model.name == "nir_li"
    x = rng.random((2, 50, N_IN))
    out = ds.run_network(network, x, device="numpy", record={1: ("U",)}, progress=False)
    read, v, expected = weights(3, N, 90), np.zeros((2, 3)), []
    for t in range(50):
        drive = out.spikes[0][:, t].astype(float) @ read.weight.T + read.bias
        end = node.v_leak + node.r * drive
        v = end + (v - end) * np.exp(-DT / node.tau)
        expected.append(v)
    assert np.allclose(out.states[1]["U"], np.stack(expected, 1), atol=1e-13)
    assert not out.spikes[1].any()
    assert ds.verify(network, x, ("torch", "numpy"), progress=False).equal


def test_connections_without_weights_are_the_identity(rng):
    node = neurons("LIF", N_IN)
    graph = nir.NIRGraph(
        {"in": nir.Input(np.array([N_IN])), "a": node, "b": neurons("IF", N_IN),
         "out": nir.Output(np.array([N_IN]))},
        [("in", "a"), ("a", "b"), ("b", "b"), ("b", "out")],
    )  # fmt: skip
    network = from_nir(graph, DT)
    assert np.array_equal(network.layers[0].input_weights["I"], np.eye(N_IN))
    assert np.array_equal(network.layers[1].recurrent_weights["I"], np.eye(N_IN))


# The steps of the frameworks


def one_layer(node, matrix, back=None):
    """Return a graph of one layer."""
    n, n_in = matrix.shape
    nodes = {"in": nir.Input(np.array([n_in])), "w": nir.Linear(matrix), "n": node,
             "out": nir.Output(np.array([n]))}  # fmt: skip
    return nir.NIRGraph(nodes, [("in", "w"), ("w", "n"), ("n", "out")])


@pytest.mark.parametrize("framework", ["norse", "snntorch"])
def test_the_spikes_are_those_that_the_framework_gave(framework):
    path = Path(nir_steps.__file__).parent / "golden" / "nir_frameworks.json"
    wanted = json.loads(path.read_text())[framework]
    fields, matrix, x, dt = nir_steps.small_graph()
    graph = one_layer(nir.CubaLIF(**fields), matrix)
    out = ds.run_network(from_nir(graph, dt, "norse"), x, device="numpy", progress=False)
    assert np.argwhere(out.spikes[0][0]).tolist() == wanted and len(wanted) > 100
    other = ds.run_network(from_nir(graph, dt, "euler"), x, device="numpy", progress=False)
    assert np.argwhere(other.spikes[0][0]).tolist() != wanted


@pytest.mark.parametrize("reset", ["v_reset", "subtract"])
def test_the_potential_takes_the_current_after_its_jump(reset, rng):
    node, matrix = neurons("CubaLIF"), 1.5 * rng.uniform(-0.6, 1.2, (N, N_IN))
    fields = {key: getattr(node, key) for key in
              ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")}  # fmt: skip
    x = rng.random((3, 80, N_IN))
    network = from_nir(one_layer(node, matrix), DT, "norse", reset)
    out = ds.run_network(network, x, device="numpy", progress=False)
    for sample in range(3):
        drive = x[sample] @ matrix.T
        wanted = nir_steps.euler_after_jump(fields, drive, DT, reset == "subtract")
        assert np.array_equal(out.spikes[0][sample], wanted) and wanted.mean() > 0.02
    if reset == "v_reset":
        graph = to_nir(network)
        assert graph.metadata["convention"] == "norse"
        same(graph.nodes["neurons_0"], node)


def test_the_step_of_a_neuron_without_a_current_is_eulers_in_both():
    layers = neurons("LIF"), neurons("IF", seed=1)
    norse, euler = (from_nir(graph_of(*layers), DT, name) for name in ("norse", "euler"))
    texts = [[layer.model.text for layer in network.layers] for network in (norse, euler)]
    assert texts[0] == texts[1]
    both = from_nir(graph_of(*layers, neurons("CubaLIF", seed=2)), DT, "norse")
    assert to_nir(both).metadata["convention"] == "norse"


# The step and the time constants


def quick(kind="LIF", tau=1e-3):
    """Return a graph with time in seconds, as in published graphs."""
    few = {key: np.full(N, value) for key, value in
           (("r", 1.0), ("v_leak", 0.0), ("v_threshold", 0.4), ("v_reset", 0.0))}  # fmt: skip
    node = nir.LIF(tau=np.full(N, tau), **few)
    if kind == "CubaLIF":
        node = nir.CubaLIF(tau_syn=np.full(N, tau), tau_mem=np.full(N, 20 * tau), **few)
    return one_layer(node, np.ones((N, N_IN)))


@pytest.mark.parametrize(("kind", "field"), [("LIF", "tau"), ("CubaLIF", "tau_syn")])
def test_a_step_beyond_a_time_constant_is_told(kind, field):
    graph = quick(kind)
    for convention in ("euler", "norse"):
        with pytest.raises(DendrosimError, match=rf"{field} = 0.001 of n.*twice.*dt = 0.0001 is"):
            from_nir(graph, 1, convention)
        with pytest.raises(DendrosimError, match="twice"):
            from_nir(graph, 2.001e-3, convention)
        for dt in (1.001e-3, 2e-3):
            with pytest.warns(UserWarning, match=f"the shortest time constant, {field} = 0.001"):
                network = from_nir(graph, dt, convention)
            assert "overshoots" in network.metadata["nir"]["notes"][0]
    with pytest.warns(UserWarning, match=r"forgets.*dt = 0.0001 is about a tenth"):
        from_nir(graph, 1)
    for convention in ("exact", "euler", "norse"):
        assert not any("dt" in note for note in
                       from_nir(graph, 1e-3, convention).metadata["nir"]["notes"])  # fmt: skip


@pytest.mark.parametrize(
    ("tau", "dt"),
    [(1e-3, 1e-4), (0.02, 2e-3), (7.3, 0.5), (60, 5), (30, 2), (10, 1), (3e-9, 2e-10)],
)
def test_a_step_is_proposed_from_the_time_constants(tau, dt, tmp_path, capsys):
    nir.write(tmp_path / "g.nir", quick(tau=tau))
    assert proposed_dt(tmp_path / "g.nir") == pytest.approx(dt, rel=1e-12)
    out = str(tmp_path / "net.safetensors")
    assert main(["convert", str(tmp_path / "g.nir"), "--out", out]) == 2
    assert f"--dt {dt:g} is about a tenth" in capsys.readouterr().err


def test_a_graph_without_a_time_constant_proposes_none(tmp_path, capsys):
    nir.write(tmp_path / "g.nir", graph_of(neurons("IF")))
    assert proposed_dt(tmp_path / "g.nir") is None
    assert main(["convert", str(tmp_path / "g.nir"), "--out", f"{tmp_path}/n.safetensors"]) == 2
    assert "unit of time\n" in capsys.readouterr().err


def test_the_command_tells_what_to_know_of_a_graph(tmp_path, capsys):
    nir.write(tmp_path / "g.nir", quick())
    command = ["convert", str(tmp_path / "g.nir"), "--out", str(tmp_path / "net.safetensors")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([*command, "--dt", "1"]) == 0
    told = capsys.readouterr()
    assert "note: " in told.out and "1e+03 times as long" in told.out and told.err == ""
    assert "snnTorch writes 0 for neurons that subtract" in told.out
    assert main([*command, "--dt", "1", "--convention", "norse"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    for options in (
        ["--dt", "1e-4", "--reset", "subtract"],
        ["--dt", "1e-4", "--reset", "v_reset"],
    ):
        assert main([*command, *options]) == 0
        assert "note" not in capsys.readouterr().out
    assert main([*command, "--dt", "1e-4", "--json"]) == 0
    assert "snnTorch" in json.loads(capsys.readouterr().out)["notes"][0]


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32"])
def test_whole_numbers_without_their_scale_are_refused(kind):
    graph = one_layer(neurons("LIF"), np.ones((N, N_IN), dtype=kind))
    with pytest.raises(DendrosimError, match=f"w: weight holds {kind}.*scale"):
        from_nir(graph, DT)
    with pytest.raises(DendrosimError, match=f"w: bias holds {kind}.*scale"):
        from_nir(chain_of_affine(np.ones(N, dtype=kind)), DT)


def chain_of_affine(bias):
    graph = one_layer(neurons("LIF"), np.ones((N, N_IN)))
    graph.nodes["w"] = nir.Affine(np.ones((N, N_IN)), np.zeros(N))
    graph.nodes["w"].bias = bias
    return graph


@pytest.mark.parametrize("field", ["weight", "bias", "tau"])
def test_text_and_complex_numbers_are_no_numbers(field):
    graph = chain_of_affine(np.zeros(N))
    node = graph.nodes["n" if field == "tau" else "w"]
    there = getattr(node, field)
    for dtype in ("S3", "U3", complex, object):
        setattr(node, field, np.full(there.shape, "0.1").astype(dtype))
        with pytest.raises(DendrosimError, match=f"{field} holds .*not numbers"):
            from_nir(graph, DT)


# Round trip


def same(a, b):
    assert type(a) is type(b)
    for key, value in vars(a).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(b, key)), key


@pytest.mark.parametrize("convention", ["exact", "euler"])
def test_a_graph_comes_back_as_it_was(convention, tmp_path):
    first = graph_of(neurons("LIF"), neurons("CubaLIF", seed=1), neurons("IF", seed=2))
    network = from_nir(first, DT, convention)
    second = to_nir(network)
    assert second.metadata == {"dt": DT, "convention": convention, "written_by": "dendrosim"}
    names = {"in": "input", "out": "output", "read": "readout"}
    names |= {
        f"{a[0]}{k}": f"{a}_{k}" for a in ("weights", "neurons", "recurrent") for k in range(3)
    }
    for key, node in first.nodes.items():
        same(node, second.nodes[names[key]])
    write_graph(second, tmp_path / "graph.nir")
    third = from_nir(tmp_path / "graph.nir", DT, convention)
    for a, b in zip(network.layers, third.layers, strict=True):
        assert a.model.text == b.model.text
        for table in ("input_weights", "recurrent_weights", "bias", "parameters"):
            mine, theirs = getattr(a, table), getattr(b, table)
            assert mine.keys() == theirs.keys()
            assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert np.array_equal(network.readout_weights, third.readout_weights)


def test_a_network_survives_its_own_file(tmp_path):
    network = from_nir(graph_of(neurons("CubaLIF")), DT, "euler", "subtract")
    network.save(tmp_path / "net.safetensors")
    again = ds.load_network(tmp_path / "net.safetensors")
    assert again.metadata["nir"]["nodes"]["r0"] == "layers.0"
    assert again.layers[0].model.text == network.layers[0].model.text


def test_the_command_reads_and_writes_graphs(tmp_path, capsys):
    nir.write(tmp_path / "graph.nir", graph_of(neurons("LIF")))
    source, out = str(tmp_path / "graph.nir"), str(tmp_path / "net.safetensors")
    assert main(["convert", source, "--out", out]) == 2
    assert "give --dt" in capsys.readouterr().err
    assert main(["convert", source, "--dt", "0.5", "--model", "lif", "--out", out]) == 2
    assert "--model is for a checkpoint" in capsys.readouterr().err
    assert main(["convert", source, "--dt", "0.5", "--convention", "euler", "--out", out]) == 0
    told = capsys.readouterr().out
    assert "layers.0" in told and "euler" in told and "reset: v_reset" in told
    assert main(["convert", out, "--out", str(tmp_path / "again.nir")]) == 0
    same(nir.read(tmp_path / "again.nir").nodes["neurons_0"], neurons("LIF"))
    lif = ds.Network.random([ds.Layer("lif", 2, 3)])
    lif.save(out)
    assert main(["convert", out, "--out", str(tmp_path / "none.nir")]) == 2
    assert "lif has no equivalent NIR node" in capsys.readouterr().err
    assert not (tmp_path / "none.nir").exists()


# Refused graphs


def chain(*nodes, edges=None):
    """Return a graph with nodes in sequence or with given edges, not checked by nir."""
    named = {f"{type(node).__name__.lower()}_{k}": node for k, node in enumerate(nodes)}
    names = list(named)
    row = list(pairwise(names))
    return nir.NIRGraph(named, row + list(edges or ()), type_check=False)


START, END = nir.Input(np.array([N_IN])), nir.Output(np.array([N]))
W, BACK = weights(N, N_IN, 0), weights(N, N, 1)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (chain(START, W, nir.Delay(np.ones(N)), neurons("LIF"), END), "Delay.*have no delay"),
        (chain(START, nir.Flatten({"input": np.array([2, 2])}), neurons("LIF"), END), "Flatten"),
        (chain(START, W, nir.Threshold(np.ones(N)), END), "threshold without a state"),
        (chain(START, W, nir.Scale(np.ones(N)), neurons("LIF"), END), "multiply the weights"),
        (chain(START, W, BACK, neurons("LIF"), END), "weights directly after weights"),
        (chain(START, W, END), "no neurons"),
        (chain(START, W, neurons("LI"), BACK, neurons("LIF"), END), "LI can only be the last"),
        (chain(START, W, neurons("LI"), BACK, END), "reads the potential of an LI"),
        (chain(START, W, neurons("LIF"), BACK, neurons("IF"), END,
               edges=[("affine_1", "if_4")]), "branches to"),
        (chain(START, W, neurons("LIF"), BACK, neurons("IF"), END,
               edges=[("if_4", "affine_3")]), "branches|more than one connection"),
        (chain(START, W, neurons("LIF"), BACK, neurons("IF"), END,
               edges=[("if_4", "lif_2")]), "more than one connection|branches"),
        (chain(START, W, neurons("LIF"), END, BACK, edges=[]), "branches|leads nowhere|way"),
        (chain(START, W, neurons("LIF"), edges=[]), "0 nodes of type Output"),
        (chain(START, W, neurons("LIF"), END, edges=[("affine_1", "nobody")]), "it is not a node"),
        (chain(START, W, neurons("LIF", 5), END), "shape"),
        (chain(START, W, nir.LIF(*(np.ones((2, 3)) for _ in range(4))), END), "number per neur"),
        (chain(START, W, nir.LIF(*(np.zeros(N) for _ in range(4))), END), "tau.*not above 0"),
        (chain(START, W, nir.LIF(*(np.full(N, np.nan) for _ in range(4))), END), "tau|finite"),
        (chain(START, nir.Affine(np.ones((N, N_IN)), np.ones(3)), neurons("LIF"), END), "a bias"),
        (chain(START, nir.Linear(np.ones((2, N, N_IN))), neurons("LIF"), END), "two dimensions"),
    ],
)  # fmt: skip
def test_what_cannot_be_exact_is_refused_with_the_reason(graph, said):
    with pytest.raises(DendrosimError, match=said):
        from_nir(graph, DT)


def test_arguments_that_make_no_sense():
    graph = graph_of(neurons("LIF"))
    for options, said in (
        ({"dt": 0}, "dt"),
        ({"dt": np.inf}, "dt"),
        ({"dt": True}, "dt"),
        ({"dt": DT, "convention": "eulers"}, "did you mean 'euler'"),
        ({"dt": DT, "reset": "soft"}, "valid: subtract, v_reset"),
    ):
        with pytest.raises(DendrosimError, match=said):
            from_nir(graph, **options)


def test_what_nir_cannot_say_is_not_written():
    soft = from_nir(graph_of(neurons("LIF")), DT, reset="subtract")
    with pytest.raises(DendrosimError, match="subtracting its threshold"):
        to_nir(soft)
    one, two = (from_nir(graph_of(neurons("LIF", seed=k)), dt) for k, dt in enumerate((0.5, 1)))
    with pytest.raises(DendrosimError, match="differ in step"):
        to_nir(
            ds.Network([one.layers[0], two.layers[0].with_(n_in=N, input_weights={"I": np.eye(N)})])
        )
    started = one.layers[0].with_(model=one.layers[0].model.with_(initial={"V": 0.1}))
    with pytest.raises(DendrosimError, match="initial state"):
        to_nir(ds.Network([started]))


# Files


def test_a_file_without_v_reset_needs_an_answer(tmp_path):
    path = tmp_path / "old.nir"
    nir.write(path, graph_of(neurons("LIF")))
    with h5py.File(path, "a") as file:
        del file["node/nodes/n0/v_reset"]
    with pytest.raises(DendrosimError, match="has no v_reset"):
        from_nir(path, DT)
    assert from_nir(path, DT, reset="subtract").layers[0].model.name == "nir_lif:subtract"
    assert from_nir(path, DT, reset="v_reset").layers[0].model.name == "nir_lif"


def hostile(path, name):
    """Make a broken file from a valid one."""
    nir.write(path, graph_of(neurons("LIF")))
    if name == "cut":
        path.write_bytes(path.read_bytes()[:3000])
        return
    with h5py.File(path, "a") as file:
        nodes = file["node/nodes"]
        if name == "elsewhere":
            del nodes["w0/weight"]
            nodes["w0/weight"] = h5py.ExternalLink("/etc/passwd", "/")
        elif name == "outside":
            del nodes["w0/weight"]
            there = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
            nodes["w0"].create_dataset("weight", (N, N_IN), "f8", external=there)
        elif name == "huge":
            del nodes["w0/weight"]
            nodes["w0"].create_dataset("weight", (10**6, 10**6), "f8", chunks=(100, 100))
        elif name == "circle":
            nodes["loop"] = file["node"]
        elif name == "unknown":
            del nodes["n0/type"]
            nodes["n0"]["type"] = "__import__('os').system('touch ran')"
        elif name == "lacking":
            del nodes["n0/tau"]


@pytest.mark.parametrize(
    "name", ["cut", "elsewhere", "outside", "huge", "circle", "unknown", "lacking"]
)
def test_a_hostile_file_is_one_sentence(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hostile(tmp_path / "graph.nir", name)
    with pytest.raises(DendrosimError):
        read_graph(tmp_path / "graph.nir")
    assert main(["convert", "graph.nir", "--dt", "1", "--out", "net.safetensors"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1 and "graph.nir" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["graph.nir"]
