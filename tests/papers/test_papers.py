"""The claims of both papers as data, and their verdicts."""

from __future__ import annotations

import inspect
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dendrosim import shelves
from dendrosim.cli.analyse import papers as papers_command
from dendrosim.errors import DendrosimError
from dendrosim.papers import load_papers, reproduce, workshop
from dendrosim.papers.claims import (
    REFUTED,
    REPRODUCED,
    UNREACHED,
    VERDICTS,
    Claim,
    Found,
    joined,
    judged,
)
from dendrosim.papers.drawings import DRAWINGS, QUICK
from dendrosim.papers.functions import FUNCTIONS, check
from dendrosim.papers.gates import Dynamics
from dendrosim.papers.workshop import Workshop

CLAIMS = {f"{paper.name}: {c.id}": c for paper in load_papers() for c in paper.claims}

#: Claims refuted by theory and sums (REFERENCE.md, sections 3b and 4).
REFUTED_IDS = {
    "lstm_lif": {
        "eq_13", "eq_14_norm", "eq_14_suffices", "with_reset", "third_quadrant", "second_quadrant",
        "s_mnist_in_text", "gsc_in_text", "gsc_feedforward_in_text", "comparable",
        "parameters_gsc", "parameters_gsc_rec",
        "parameters_shd_rec", "parameters_ssc", "parameters_ssc_rec", "energy_lstm_lif", "table_6",
        "table_6_lstm_lif", "table_6_lstm", "table_5_beta", "table_5_gamma", "table_5_gsc",
        "gsc_schedule",
        "eq_19", "table_3", "opposite_signs", "shd_size",
    },
    "lrmm": {
        "tc_lif_ssc", "parameters_ps_mnist", "parameters_shd", "parameters_ssc",
        "parameters_adding", "parameters_adding_lif", "parameters_tc_lif",
        "parameters_ps_mnist_one", "parameters_adding_one", "parameters_adding_lif_recurrent",
        "parameters_brf", "parameters_radlif",
        "ablation_feedback_ps_mnist", "energy_lrmm_corrected", "four_hundred_corrected",
        "less_than_lif", "shd_size", "ssc_size",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Everything that needs neither training nor logged runs."""
    folder = tmp_path_factory.mktemp("papers")
    return reproduce(folder / "out", quick=True, runs=folder, progress=False)


class TestVerdicts:
    def test_what_is_refuted_is_what_the_errata_say(self, quick):
        for name, checked in quick.papers.items():
            refuted = {c.claim.id for c in checked if c.verdict == REFUTED}
            assert refuted == REFUTED_IDS[name]

    def test_everything_that_can_be_computed_is(self, quick):
        for checked in quick.papers.values():
            for one in checked:
                claim = one.claim
                reachable = bool(claim.by) and not claim.slow and claim.by != "logged"
                assert (one.verdict in (REPRODUCED, REFUTED)) is reachable, claim.id
                assert one.because or one.verdict == REPRODUCED, claim.id
                if claim.printed and reachable:
                    assert one.found

    def test_the_folder(self, quick):
        rows = (quick.folder / "claims.csv").read_text().splitlines()
        assert len(rows) >= len(CLAIMS) + 1
        told = json.loads((quick.folder / "claims.json").read_text())
        assert [row["verdict"] for row in told["claims"]] == [r["verdict"] for r in quick.rows()]
        report = (quick.folder / "report.md").read_text()
        for claim in CLAIMS.values():
            assert claim.says.replace("|", "/") in report
            assert f"### {claim.section}" in report
        drawn = {path.name for path in quick.folder.glob("*.png")}
        assert drawn == {
            f"{paper}_{name}.png" for paper, table in DRAWINGS.items()
            for name, drawing in table.items() if drawing in QUICK
        }  # fmt: skip
        assert all(f"({name})" in report for name in drawn)
        assert "which --quick leaves out" in report

    def test_the_table(self, quick):
        text = quick.text()
        counts = quick.counts["lstm_lif"]
        assert f"lstm_lif: {counts[REPRODUCED]} reproduced, {counts[REFUTED]} refuted" in text
        assert sum(counts.values()) == len(quick.papers["lstm_lif"])
        assert re.search(r"Table 2 +energy lif +23\.8 +23\.84 +reproduced", text)
        assert re.search(r"A\.9 +energy layer 1 +30,912\.896 +30,912\.896 +reproduced", text)
        assert re.search(r"energy lrmm corrected +46\.6589 +72\.5806 +refuted", text)


class TestData:
    @pytest.mark.parametrize("name", CLAIMS)
    def test_a_claim_can_be_looked_at(self, name):
        claim = CLAIMS[name]
        if not claim.by:
            assert claim.missing
            return
        takes = inspect.signature(FUNCTIONS[claim.by]).parameters
        assert set(claim.options) <= set(takes)
        needed = {n for n, p in takes.items() if p.default is inspect.Parameter.empty} - {"shop"}
        assert needed <= set(claim.options)
        assert claim.says.endswith(".") and len(claim.says) < 150
        if claim.by == "logged":
            assert claim.missing and claim.printed

    def test_every_function_has_a_claim(self):
        assert {claim.by for claim in CLAIMS.values() if claim.by} == set(FUNCTIONS)

    def test_what_is_refuted_says_why(self):
        for name, ids in REFUTED_IDS.items():
            for one in ids:
                assert CLAIMS[f"{name}: {one}"].why, one

    def test_the_papers_are_cited_by_models(self):
        assert [paper.model for paper in load_papers()] == ["lstm_lif", "lrmm"]
        assert {paper.model for paper in load_papers()} <= set(shelves.names("models"))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ('id = "a"', "claims[0]: the key 'where' is missing"),
            ('id = "a"\nwhere = "x"\nsays = "y"', "neither 'by' computes it nor 'missing' says"),
            (
                'id = "a"\nwhere = "x"\nsays = "y"\nprinted = "many"\nmissing = "z"',
                "printed = 'many' is not a number",
            ),
            (
                'id = "a"\nwhere = "x"\nsays = "y"\nby = "spent"\nwith = { of = "@lif" }',
                "no network '@lif'; none exist here",
            ),
            ('id = "a"\nwher = "x"', "unknown key 'wher'; did you mean 'where'?"),
            (
                'id = "a"\nwhere = "x"\nsays = "y"\nmissing = "z"\n[[claims]]\nid = "a"\n'
                'where = "x"\nsays = "y"\nmissing = "z"',
                "claims of one id: a",
            ),
        ],
    )
    def test_a_wrong_file_is_told(self, change, said, tmp_path, monkeypatch):
        folder = tmp_path / "papers"
        folder.mkdir()
        (folder / "lrmm.toml").write_text(f'title = "t"\nmodel = "lrmm"\n[[claims]]\n{change}\n')
        monkeypatch.setattr("dendrosim.papers.claims.files", lambda package: tmp_path)
        with pytest.raises(DendrosimError, match=re.escape(said)):
            load_papers("lrmm")


def claim(printed="", **more):
    return Claim("a", "here", "It is so.", printed=printed, **more)


class TestAgreement:
    @given(st.integers(0, 4), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
    def test_rounded_and_cut(self, decimals, whole, part):
        """A number agrees with its own digits, rounded or truncated, and with no others."""
        value = (whole + part) / 10**decimals
        cut = f"{whole / 10**decimals:.{decimals}f}"
        assert claim(cut).agrees(value) or part > 1 - 1e-5
        assert not claim(f"{(whole + 2) / 10**decimals:.{decimals}f}").agrees(value)
        above = f"{(whole + 1) / 10**decimals:.{decimals}f}"
        if abs(part - 0.5) > 1e-3:
            assert claim(above).agrees(value) is (part > 0.5)

    def test_the_numbers_of_the_papers(self):
        assert claim("2,834.7").agrees(2834.7776)  # cut
        assert claim("28.2").agrees(28.1827584)  # rounded
        assert not claim("28.2").agrees(28.0560384)
        assert not claim("0.15").agrees(0.141844)

    def test_tolerance_and_more(self):
        assert claim("99.18", tolerance=0.3).agrees(98.88)
        assert not claim("99.18", tolerance=0.3).agrees(98.87)
        assert not claim("99.18", tolerance=0.3).agrees(99.6)
        assert claim("99.18", tolerance=0.3, at_least=True).agrees(99.6)

    def test_verdicts(self):
        assert judged(claim("1.5", why="no"), Found(1.52, "e")).verdict == REPRODUCED
        refuted = judged(claim("1.5", why="no"), Found(2.0, "e"))
        assert (refuted.verdict, refuted.found, refuted.because) == (REFUTED, "2.0", "e; no")
        assert judged(claim(), Found(True)).found == ""
        assert judged(claim("10", unit="%"), Found(12.3)).found == "12"
        assert joined(["", "a", "", "b"]) == "a; b"

    def test_what_falls_short_here_is_not_refuted(self):
        """A network worse than the paper's, or with other behaviour, leaves the claim open."""
        accuracy = claim("99.55", tolerance=0.2, why="so", missing="epochs")
        low, high = (judged(accuracy, Found(v, "e", lower_is_open=True)) for v in (97.5, 99.9))
        assert (low.verdict, low.found, low.because) == (UNREACHED, "97.50", "e; epochs")
        assert (high.verdict, high.because) == (REFUTED, "e; so")
        behaviour = claim(missing="the network of the paper")
        found = judged(behaviour, Found(False, "e"))
        assert (found.verdict, found.because) == (UNREACHED, "e; the network of the paper")
        assert judged(behaviour, Found(True, "e")).because == "e"


class TestLoggedRuns:
    def write(self, folder, accuracy, recipe="s_mnist_lstm_lif", epochs=200, task=""):
        folder.mkdir(parents=True)
        told = {"recipe": recipe, "test_accuracy": accuracy, "epochs": epochs}
        told["recipe_text"] = f'[task]\nname = "any"\n{task}\n'
        (folder / "result.json").write_text(json.dumps(told))

    def test_the_median_of_the_seeds_is_judged(self, tmp_path):
        for k, accuracy in enumerate((0.9905, 0.9910, 0.95)):
            self.write(tmp_path / "s_mnist" / f"seed{k}", accuracy)
        self.write(tmp_path / "other", 0.1, recipe="another")
        found = check(CLAIMS["lstm_lif: s_mnist"], Workshop(runs=tmp_path))
        assert (found.verdict, found.found) == (REPRODUCED, "99.05")
        assert found.because == "3 run(s) of 200 epochs: 99.10, 99.05, 95.00"

    def test_the_longest_runs_are_judged(self, tmp_path):
        self.write(tmp_path / "short", 0.80, epochs=8)
        self.write(tmp_path / "long", 0.99, epochs=200)
        found = check(CLAIMS["lstm_lif: s_mnist"], Workshop(runs=tmp_path))
        assert (found.verdict, found.found) == (REPRODUCED, "99.00")

    def test_a_run_of_another_task_does_not_count(self, tmp_path):
        self.write(tmp_path / "a", 0.999, "copy_task_lrmm", task="length = 4\nalphabet = 4")
        shop = Workshop(runs=tmp_path)
        found = {k: check(CLAIMS[f"lrmm: copy_{k}"], shop).verdict for k in (4, 8, 10)}
        assert found == {4: REPRODUCED, 8: UNREACHED, 10: UNREACHED}

    def test_without_a_run_it_says_what_is_missing(self, tmp_path):
        found = check(CLAIMS["lstm_lif: s_mnist"], Workshop(runs=tmp_path))
        assert found.verdict == UNREACHED
        assert "no finished run of recipe 's_mnist_lstm_lif'" in found.because
        assert "dendrosim train s_mnist_lstm_lif" in found.because

    def test_a_broken_result_is_told(self, tmp_path):
        (tmp_path / "result.json").write_text("{")
        with pytest.raises(DendrosimError, match="not a readable result"):
            check(CLAIMS["lstm_lif: s_mnist"], Workshop(runs=tmp_path))

    def test_without_torch_what_needs_it_is_not_reachable(self, monkeypatch):
        def absent(*_, **__):
            raise DendrosimError("torch is not installed: pip install 'dendrosim[learn]'")

        absent.__signature__ = inspect.signature(FUNCTIONS["eq_13"])
        monkeypatch.setitem(FUNCTIONS, "eq_13", absent)
        found = check(CLAIMS["lstm_lif: eq_13"], Workshop())
        assert (found.verdict, found.because[:22]) == (UNREACHED, "torch is not installed")


class TestDifferences:
    """Claims about networks trained here, if the differences are larger than chance."""

    def shop(self, **accuracies):
        shop = Workshop()
        for name, accuracy in accuracies.items():
            made = workshop.Trained(None, [], accuracy, {})
            shop.once("trained", name, make=lambda made=made: made)
        return shop

    def test_accuracies(self):
        """360 test images: 72 and 64 of 100 are 2.3 standard errors apart, 70 and 64 are 1.7."""
        better = CLAIMS["lrmm: ablation_recurrence"]
        name = "lrmm:no_recurrence"
        for accuracy, verdict in ((0.72, REPRODUCED), (0.70, UNREACHED), (0.50, UNREACHED)):
            found = check(better, self.shop(**{"lrmm": accuracy, name: 0.64}))
            assert found.verdict == verdict
        assert "standard error of the difference 3.7%" in found.because

    def test_gates(self):
        rng = np.random.default_rng(0)
        phase = np.repeat(["data", "noise", "readout"], 5)
        quiet = rng.normal(0.5, 0.01, (100, 15))
        for shift, verdict in ((-0.1, REPRODUCED), (0.0, UNREACHED), (0.1, UNREACHED)):
            values = quiet + shift * (phase == "noise")
            made = Dynamics(phase, {"I": values}, {}, values, np.eye(15), 0.9, 0.1, "a task")
            shop = Workshop()
            shop.once("dynamics", make=lambda made=made: made)
            assert check(CLAIMS["lrmm: gate_i"], shop).verdict == verdict


def test_a_claim_of_no_function():
    with pytest.raises(DendrosimError, match="claim a: by = 'spend' is not a function; did you"):
        check(claim(by="spend"), Workshop())
    with pytest.raises(DendrosimError, match="claim a: eq_13 does not take x"):
        check(claim(by="eq_13", options={"x": 1}), Workshop())


class TestCommand:
    def test_it_prints_the_table(self, tmp_path):
        result = CliRunner().invoke(
            papers_command, ["--out", str(tmp_path / "a"), "--paper", "lrmm", "--quick", "--json"],
            catch_exceptions=False,
        )  # fmt: skip
        told = json.loads(result.output)
        assert set(told["counts"]) == {"lrmm"}
        assert set(told["counts"]["lrmm"]) == set(VERDICTS)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--paper", "third"], "'third' is not a paper; valid: lstm_lif, lrmm"),
            (["--full", "--quick"], "--full and --quick exclude each other"),
            (["--runs", "/nowhere"], "/nowhere: there is no such folder of training runs"),
        ],
    )
    def test_refusals(self, arguments, said, tmp_path):
        with pytest.raises(DendrosimError, match=re.escape(said)):
            CliRunner().invoke(
                papers_command, ["--out", str(tmp_path / "a"), *arguments], catch_exceptions=False
            )


@pytest.mark.slow
def test_with_training(tmp_path, monkeypatch):
    """Every claim except those about logged runs and data is decided; every figure is drawn."""
    monkeypatch.setitem(workshop.EPOCHS, False, 2)
    found = reproduce(tmp_path / "out", runs=tmp_path, progress=False)
    for checked in found.papers.values():
        for one in checked:
            if one.claim.by and one.claim.by != "logged" and not one.claim.missing:
                assert one.verdict != UNREACHED or "too little" in one.because, one.claim.id
    for (paper, name), path in found.figures.items():
        assert path == tmp_path / "out" / f"{paper}_{name}.png"
        assert path.stat().st_size > 10_000
