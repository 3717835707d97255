"""The posterior of a fit, from the first candidate to the check of its samples."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.fitting.features import WORST
from dendrosim.fitting.free import labels
from dendrosim.fitting.posterior import report
from dendrosim.fitting.posterior.narrowing import Proposal, narrow, normalised
from dendrosim.fitting.posterior.result import Posterior
from dendrosim.fitting.posterior.scores import Scores, score
from dendrosim.fitting.problem import Problem
from dendrosim.progress import staged_bar
from dendrosim.sweeps.design import check_power_of_two

Array = NDArray[np.float64]

FEWEST, MOST = 64, 1 << 20
#: Fewest samples, and fewest of them that are simulated.
SAMPLES, CHECKED = 100, 20
#: So many samples of the network are drawn for each that is kept.
SPARE = 10
#: Samples further from the centre of the candidates than this, in their standard deviations, are
#: where the network has seen nothing.
FURTHEST = 6.0
#: The bar shows half of the training after so many epochs, of which there are 60 to some hundreds.
HALF = 80


class Settings(NamedTuple):
    """How a posterior is computed; see `Fit.posterior`."""

    n: int
    samples: int
    checked: int
    seed: int


def read_settings(n: Any, samples: Any = 2000, checked: Any = 200, seed: Any = 0) -> Settings:
    """Check the arguments of `Fit.posterior`, and that sbi is installed.

    Raises
    ------
    DendrosimError
        If an argument is invalid, or sbi is not installed.
    """
    n = checks.whole(n, "n", least=FEWEST, most=MOST)
    check_power_of_two(n, "a Sobol sequence is balanced only for")
    samples = checks.whole(samples, "samples", least=SAMPLES, most=MOST)
    checked = checks.whole(checked, "checked", least=CHECKED, most=MOST)
    seed = checks.whole(seed, "seed")
    neural_or_refuse()
    return Settings(n, samples, min(checked, samples), seed)


def neural_or_refuse() -> Any:
    """Return the module that uses sbi.

    Raises
    ------
    DendrosimError
        If sbi is not installed.
    """
    try:
        from dendrosim.fitting.posterior import neural
    except ImportError:
        raise DendrosimError(
            "the posterior of a fit needs sbi: pip install 'dendrosim[posterior]'"
        ) from None
    return neural


def infer(
    problem: Problem, fitted: pd.Series, settings: Settings, progress: bool | None
) -> Posterior:
    """Return the posterior of a fit.

    Parameters
    ----------
    problem
        The problem of the fit.
    fitted
        The fitted values in their usual units.
    settings
        Checked settings.
    progress
        As in `simulate`.

    Raises
    ------
    DendrosimError
        If all candidates diverge, or have the same features.
    """
    with staged_bar(progress, f"posterior of {problem.model.name}") as tell:
        run = _run(problem, settings, _Parts(tell))
    frame = pd.DataFrame({
        name: one.shown(one.value(run.x[:, k]))
        for k, (name, one) in enumerate(zip(labels(problem.free), problem.free, strict=True))
    })  # fmt: skip
    correlation, check = report.correlation_of(frame), report.check_table(problem, run.again)
    notes = [
        *report.run_notes(problem, run.diverged, run.simulated, run.complete, run.efficiency),
        *report.sample_notes(list(frame.columns), run.x),
        *report.fitted_notes(problem.free, frame, fitted),
        *report.correlation_notes(correlation), *report.check_notes(check),
    ]  # fmt: skip
    meta = {
        "model": problem.model.name, "protocols": [target.name for target in problem.targets],
        "free": {one.key: one.text for one in problem.free}, **settings._asdict(), **run.counts,
        "simulated": run.simulated, "diverged": run.diverged,
        "versions": {name: version(name) for name in ("dendrosim", "sbi", "torch")},
    }  # fmt: skip
    return Posterior(
        frame, report.posterior_table(problem.free, frame, run.x), correlation, check,
        run.efficiency, tuple(notes), meta, fitted, tuple(one.log for one in problem.free),
    )  # fmt: skip


class _Run(NamedTuple):
    """What the simulations and the network gave.

    Attributes
    ----------
    x
        Samples as positions from 0 to 1, shape (samples, free values).
    again
        Features of the checked samples.
    efficiency
        Effective part of them, weighted by their likelihood.
    complete
        Whether the rounds came close to the target.
    simulated, diverged
        Numbers of simulations.
    counts
        Other numbers for the meta data.
    """

    x: Array
    again: Scores
    efficiency: float
    complete: bool
    simulated: int
    diverged: int
    counts: dict[str, int]


def _run(problem: Problem, settings: Settings, told: _Parts) -> _Run:
    n, samples, checked, seed = settings
    draws, choice, of_network = np.random.SeedSequence(seed).spawn(3)
    rng = np.random.default_rng(draws)
    found = narrow(lambda x: _round(problem, x, told).misfit, len(problem.free), n, rng)
    proposal = found.proposal
    told.part(0.3, 0.6, "candidates of the density estimate")
    t = proposal.draw(n, rng)
    scores = score(problem, proposal.positions(t), told)
    varies, alive = _used(scores), scores.alive
    # a candidate that diverged is far from the target in every feature: were it left out, the
    # network would not know that there are no samples around it
    z = np.where(alive[:, None], scores.z, WORST)[:, varies]
    told.part(0.6, 0.9, "training the density estimate")
    learnt = neural_or_refuse().learn(
        t, z, SPARE * samples, int(of_network.generate_state(1)[0]), told.epoch
    )
    kept = _kept(learnt.t, proposal, samples, np.random.default_rng(choice))
    t, log_density = learnt.t[kept], learnt.log_density[kept]
    x = proposal.positions(t)
    told.part(0.9, 1.0, "checking samples")
    again = score(problem, x[:checked], told)
    # prior, likelihood and density of the network, of which the prior over proposal is a part
    log_weights = -again.misfit - (0.5 * np.sum(t**2, axis=1) + log_density)[:checked]
    diverged = found.diverged + int(np.sum(~alive)) + int(np.sum(~again.alive))
    counts = {"rounds": found.rounds, "epochs": learnt.epochs, "features": len(varies),
              "features that vary": int(varies.sum())}  # fmt: skip
    return _Run(x, again, effective_part(log_weights), found.complete,
                found.simulated + n + checked, diverged, counts)  # fmt: skip


class _Parts:
    """The progress of work in parts of one bar."""

    def __init__(self, tell: Callable[[float, str], None] | None) -> None:
        self.tell, self.rounds = tell, 1
        self.part(0.0, 0.1, "round 1")

    def part(self, first: float, last: float, stage: str) -> None:
        """Begin a part of the bar, named by its stage."""
        self.first, self.last, self.stage = first, last, stage
        self(0.0)

    def __call__(self, done: float) -> None:
        """Show how much of the part is done."""
        if self.tell is not None:
            self.tell(self.first + (self.last - self.first) * done, self.stage)

    def next_round(self) -> None:
        """Begin another round; how many will come is not known: each takes a part of the rest."""
        self.rounds += 1
        self.part(self.last, self.last + 0.3 * (0.3 - self.last), f"round {self.rounds}")

    def epoch(self, number: int) -> None:
        """Show an epoch of the training; how many will come is not known either."""
        self.stage = f"training the density estimate, epoch {number}"
        self(1 - 0.5 ** (number / HALF))


def _round(problem: Problem, x: Array, told: _Parts) -> Scores:
    scores = score(problem, x, told)
    told.next_round()
    return scores


def _used(scores: Scores) -> NDArray[np.bool_]:
    """Return which features differ among the candidates, shape (features,)."""
    alive = scores.z[scores.alive]
    if len(alive) < FEWEST // 2:
        raise DendrosimError(
            f"posterior: only {len(alive)} candidates did not diverge; narrower ranges of the free "
            "values would help"
        )
    varies = np.ptp(alive, axis=0) > 0
    if not varies.any():
        raise DendrosimError(
            "posterior: all candidates have the same features, which then say nothing about the "
            "free values; choose other features, protocols or ranges"
        )
    return varies


def _kept(t: Array, proposal: Proposal, samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose samples by prior over proposal, because the network's prior was the proposal.

    Sampling importance resampling without replacement, so no sample is there twice.
    """
    near = np.flatnonzero(np.isfinite(t).all(axis=1) & (np.abs(t) < FURTHEST).all(axis=1))
    if len(near) < samples:
        raise DendrosimError(
            "posterior: the network's samples lie far outside its candidates; a larger n, or "
            "features that the model can reach, would help"
        )
    # equal to a draw without replacement, one by one (Efraimidis and Spirakis 2006)
    keys = proposal.log_prior(t[near]) + rng.gumbel(size=len(near))
    return near[np.argsort(-keys)[:samples]][rng.permutation(samples)]


def effective_part(log_weights: Array) -> float:
    """Return the effective part of weighted samples, from 0 to 1 (Kong 1992)."""
    found = log_weights[np.isfinite(log_weights)]
    if not found.size:
        return 0.0
    return float(1 / np.sum(normalised(found) ** 2) / len(log_weights))
