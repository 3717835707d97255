"""The functions that test claims, and how they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.papers import biophysics, gates, loop, sums, theory, trained
from dendrosim.papers.claims import (
    Checked,
    Claim,
    Found,
    NotReachableError,
    joined,
    judged,
    unreached,
)

if TYPE_CHECKING:
    from dendrosim.papers.workshop import Workshop

_NAMED = (
    sums.parameters, sums.spent, sums.ratio, sums.less, sums.fewer_parameters, sums.difference,
    sums.stated, sums.surplus, sums.happens,
    theory.eq_13, theory.printed_norm, theory.eq_14_is_a_norm, theory.eq_14_above_1,
    theory.a_norm_above_1_suffices, theory.on_the_circle, theory.quadrant, theory.eq_15,
    theory.keeps_longer, theory.lif_vanishes, theory.with_reset,
    loop.leak_or_nothing, loop.loop_operator, loop.always_active, loop.loop_gain,
    biophysics.still_bursts, biophysics.coefficients_of_the_derivation,
    trained.logged, trained.learns_faster, trained.is_better, trained.smoother,
    trained.quadrant_learns,
    gates.gate_is_lower, gates.agree_more,
)  # fmt: skip
#: Name to function.
FUNCTIONS: Mapping[str, Callable[..., Found]] = {f.__name__: f for f in _NAMED}


def check(claim: Claim, shop: Workshop) -> Checked:
    """Test a claim and return the verdict.

    Raises
    ------
    DendrosimError
        If the claim names an unknown function or wrong arguments.
    """
    if not claim.by:
        return unreached(claim, claim.missing)
    if claim.by not in FUNCTIONS:
        hint = did_you_mean(claim.by, FUNCTIONS)
        raise DendrosimError(f"claim {claim.id}: by = {claim.by!r} is not a function; {hint}")
    function = FUNCTIONS[claim.by]
    takes = inspect.signature(function).parameters
    if unknown := claim.options.keys() - takes.keys():
        raise DendrosimError(f"claim {claim.id}: {claim.by} does not take {', '.join(unknown)}")
    arguments = ({"shop": shop} if "shop" in takes else {}) | dict(claim.options)
    try:
        return judged(claim, function(**arguments))
    except (NotReachableError, DendrosimError) as error:
        return unreached(claim, joined([what_is_missing(error), claim.missing]))


def what_is_missing(error: Exception) -> str:
    """Return what is missing, if an error reports that; otherwise raise the error again.

    Raises
    ------
    DendrosimError
    """
    if isinstance(error, NotReachableError) or "not installed" in str(error):
        return str(error)
    raise error
