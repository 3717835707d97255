"""Claims as values: read from the files of the papers and compared with computed results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from dendrosim import shelves
from dendrosim.errors import DendrosimError, at, did_you_mean

REPRODUCED, REFUTED, UNREACHED = "reproduced", "refuted", "not reachable here"
VERDICTS = (REPRODUCED, REFUTED, UNREACHED)
#: The papers, by file name.
PAPERS = ("lstm_lif", "lrmm")


class NotReachableError(Exception):
    """A requirement of a claim is missing; the message describes it."""


@dataclass(frozen=True)
class Found:
    """The result of a function that tests a claim.

    Attributes
    ----------
    value
        A number to compare with the printed one, or whether a statement is true.
    evidence
        A sentence with the underlying numbers.
    lower_is_open
        Whether a number below the printed one leaves the claim open: for example, a longer
        training may reach a higher accuracy.
    """

    value: float | bool
    evidence: str = ""
    lower_is_open: bool = False


@dataclass(frozen=True)
class Claim:
    """A number or statement of a paper.

    Attributes
    ----------
    id, where, says
        Short name, position in the paper, and the claim in one sentence.
    by, options
        Name of the function that tests it (`dendrosim.papers.functions`) and its arguments;
        without a function the claim is not reachable.
    printed
        The printed number, such as "2,834.7"; empty for a statement.
    unit
        Unit of the number.
    tolerance
        Largest difference that counts as reproduced; by default the printed digits decide.
    at_least
        Whether a larger number also reproduces the claim, as for an accuracy.
    why
        Reason if it is refuted.
    missing
        What is missing, for a claim that is not reachable, or for a claim that can be
        reproduced but not refuted here.
    slow
        Whether it needs a newly trained network.
    section
        Heading of this claim and the following ones; empty within a section.
    """

    id: str
    where: str
    says: str
    by: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    printed: str = ""
    unit: str = ""
    tolerance: float | None = None
    at_least: bool = False
    why: str = ""
    missing: str = ""
    slow: bool = False
    section: str = ""

    @property
    def number(self) -> float:
        """The printed number as a float."""
        return float(self.printed.replace(",", ""))

    def agrees(self, value: float) -> bool:
        """Whether a number agrees with the printed digits (rounded or cut) or the tolerance."""
        if self.at_least and value >= self.number:
            return True
        if self.tolerance is not None:
            return abs(value - self.number) <= self.tolerance * (1 + 1e-9)
        unit = 10.0 ** -len(self.printed.partition(".")[2])
        above = (value - self.number) / unit  # rounded: 0.5 to either side; cut: up to 1 above
        return -0.5 - 1e-6 <= above < 1 - 1e-6


@dataclass(frozen=True)
class Checked:
    """A claim and its verdict.

    Attributes
    ----------
    claim
        The claim.
    verdict
        One of `VERDICTS`.
    found
        The computed number, as text; empty for a statement.
    because
        Evidence, and the reason for a refutation or what is missing.
    """

    claim: Claim
    verdict: str
    found: str = ""
    because: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper and its claims.

    Attributes
    ----------
    name, title, model
        File name, title, and the model whose file cites the paper.
    claims
        In the order of the paper.
    networks
        Name to the layers of networks with a published energy, as arguments of
        `energy.operations`.
    """

    name: str
    title: str
    model: str
    claims: tuple[Claim, ...]
    networks: Mapping[str, Any] = field(default_factory=dict)


def check_apart(a: float, b: float, error: float, told: str) -> None:
    """Refuse to order two means that differ by less than two standard errors.

    Raises
    ------
    NotReachableError
        With `told`, a sentence with both means.
    """
    if abs(a - b) < 2 * error:
        raise NotReachableError(f"{told}: too little to tell")


def judged(claim: Claim, found: Found) -> Checked:
    """Return the verdict on a claim."""
    if isinstance(found.value, bool):
        holds, shown = found.value, ""
    else:
        holds, shown = claim.agrees(found.value), _shown(found.value, claim.printed)
        if not holds and found.lower_is_open and found.value < claim.number:
            return Checked(claim, UNREACHED, shown, joined([found.evidence, claim.missing]))
    if not holds and claim.missing and not claim.why:
        return Checked(claim, UNREACHED, shown, joined([found.evidence, claim.missing]))
    parts = [found.evidence, "" if holds else claim.why]
    return Checked(claim, REPRODUCED if holds else REFUTED, shown, joined(parts))


def unreached(claim: Claim, missing: str) -> Checked:
    """Return the verdict for a claim that cannot be tested."""
    return Checked(claim, UNREACHED, "", missing)


def load_papers(name: str | None = None) -> tuple[Paper, ...]:
    """Read the claims of both papers, or of one.

    Raises
    ------
    DendrosimError
        If the paper does not exist, or a file is invalid.
    """
    if name is not None and name not in PAPERS:
        raise DendrosimError(f"{name!r} is not a paper; valid: {', '.join(PAPERS)}")
    return tuple(_paper(one) for one in PAPERS if name in (None, one))


_KEYS: dict[str, shelves.Kinds] = {
    "id": str, "where": str, "says": str, "by": str, "with": dict, "printed": str, "unit": str,
    "tolerance": (int, float), "at_least": bool, "why": str, "missing": str, "slow": bool,
    "section": str,
}  # fmt: skip


def _paper(name: str) -> Paper:
    path = Path(str(files("dendrosim"))) / "papers" / f"{name}.toml"
    table = shelves.read_toml(path)
    keys = {"title": str, "model": str, "networks": dict, "claims": list}
    with at(str(path)):
        shelves.check_keys(table, keys)
        networks = table.get("networks", {})
        claims = []
        for k, entry in enumerate(table["claims"]):
            with at(f"claims[{k}]"):
                claims.append(_claim(entry, networks))
        ids = [claim.id for claim in claims]
        if twice := {one for one in ids if ids.count(one) > 1}:
            raise DendrosimError(f"claims of one id: {', '.join(sorted(twice))}")
    return Paper(name, table["title"], table["model"], tuple(claims), networks)


def _claim(entry: Any, networks: Mapping[str, Any]) -> Claim:
    shelves.check_keys(entry, _KEYS)
    for key in ("id", "where", "says"):
        if not entry.get(key):
            raise DendrosimError(f"the key {key!r} is missing")
    fields = {key: value for key, value in entry.items() if key != "with"}
    options = {key: _network(value, networks) for key, value in entry.get("with", {}).items()}
    claim = Claim(**fields, options=options)
    if claim.printed and not re.fullmatch(r"-?[\d,]+(\.\d+)?", claim.printed):
        raise DendrosimError(f"printed = {claim.printed!r} is not a number")
    if not claim.by and not claim.missing:
        raise DendrosimError("neither 'by' computes it nor 'missing' says why not")
    return claim


def _network(value: Any, networks: Mapping[str, Any]) -> Any:
    """Return the network for ``"@name"``."""
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    if value[1:] not in networks:
        raise DendrosimError(f"no network {value!r}; {did_you_mean(value[1:], networks)}")
    return networks[value[1:]]


def _shown(value: float, printed: str) -> str:
    """Return a number with the decimals of the printed one, or with one more if it is not 0."""
    decimals = len(printed.partition(".")[2])
    text = f"{value:,.{decimals + 1}f}"
    return text if 0 < decimals < 3 and not text.endswith("0") else f"{value:,.{decimals}f}"


def joined(parts: list[str]) -> str:
    """Join the parts that are not empty into one sentence."""
    return "; ".join(part for part in parts if part)
