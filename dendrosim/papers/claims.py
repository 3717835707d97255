"""Claims as values: read from the files of the papers, compared with what is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from dendrosim import shelves
from dendrosim.errors import DendrosimError, did_you_mean

REPRODUCED, REFUTED, UNREACHED = "reproduced", "refuted", "not reachable here"
VERDICTS = (REPRODUCED, REFUTED, UNREACHED)
#: The papers, by the name of their file.
PAPERS = ("lstm_lif", "lrmm")


class NotReachableError(Exception):
    """What a claim needs is not here; the message says what."""


@dataclass(frozen=True)
class Found:
    """What a function found.

    Attributes
    ----------
    value
        A number to compare with the printed one, or whether a statement holds.
    evidence
        A sentence with the numbers behind it.
    lower_is_open
        Whether a smaller number than the printed one decides nothing: an accuracy that training
        does not reach here may be reached elsewhere.
    """

    value: float | bool
    evidence: str = ""
    lower_is_open: bool = False


@dataclass(frozen=True)
class Claim:
    """One number or statement of a paper.

    Attributes
    ----------
    id, where, says
        Short name, place in the paper, and the claim in a sentence.
    by, options
        Name of the function that computes it (`dendrosim.papers.functions`) and its arguments;
        without one it is not reachable.
    printed
        The number as it is printed, "2,834.7"; empty for a statement.
    unit
        Of the number.
    tolerance
        Largest distance that counts as reproduced; by default the printed digits decide.
    at_least
        Whether a larger number reproduces it, too, as for an accuracy.
    why
        Why it is refuted.
    missing
        What is missing, for a claim that is not reachable, or that what is here does not decide
        unless it bears it out.
    slow
        Whether it needs a network that is trained for it.
    section
        Heading over it and what follows; empty where the one before goes on.
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
        """The printed number."""
        return float(self.printed.replace(",", ""))

    def agrees(self, value: float) -> bool:
        """Whether a number is the printed one: to its digits, rounded or cut, or in tolerance."""
        if self.at_least and value >= self.number:
            return True
        if self.tolerance is not None:
            return abs(value - self.number) <= self.tolerance * (1 + 1e-9)
        unit = 10.0 ** -len(self.printed.partition(".")[2])
        above = (value - self.number) / unit  # rounded: to 0.5 either side; cut: up to 1 above
        return -0.5 - 1e-6 <= above < 1 - 1e-6


@dataclass(frozen=True)
class Checked:
    """A claim and what became of it.

    Attributes
    ----------
    claim
        What was claimed.
    verdict
        One of `VERDICTS`.
    found
        The number found, as text; empty for a statement.
    because
        Evidence, and why it is refuted or what is missing.
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
        Name of its file, title, and the model whose file cites it.
    claims
        In the order of the paper.
    networks
        Name to the layers whose energy the paper gives, arguments of `energy.operations`.
    """

    name: str
    title: str
    model: str
    claims: tuple[Claim, ...]
    networks: Mapping[str, Any] = field(default_factory=dict)


def check_apart(a: float, b: float, error: float, told: str) -> None:
    """Refuse to tell two means apart that differ by less than two standard errors.

    Raises
    ------
    NotReachableError
        With `told`, a sentence with both.
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
    """Return a claim that could not be looked at."""
    return Checked(claim, UNREACHED, "", missing)


def load_papers(name: str | None = None) -> tuple[Paper, ...]:
    """Read the claims of both papers, or of one.

    Raises
    ------
    DendrosimError
        If there is no such paper, or a file is wrong.
    """
    if name is not None and name not in PAPERS:
        raise DendrosimError(f"{name!r} is not a paper; valid: {', '.join(PAPERS)}")
    return tuple(_paper(one) for one in PAPERS if name in (None, one))


_KEYS = {
    "id": str, "where": str, "says": str, "by": str, "with": dict, "printed": str, "unit": str,
    "tolerance": (int, float), "at_least": bool, "why": str, "missing": str, "slow": bool,
    "section": str,
}  # fmt: skip


def _paper(name: str) -> Paper:
    path = Path(str(files("dendrosim"))) / "papers" / f"{name}.toml"
    table = shelves.read_toml(path)
    keys = {"title": str, "model": str, "networks": dict, "claims": list}
    shelves.check_keys(table, keys, str(path))
    networks = table.get("networks", {})
    claims = tuple(
        _claim(entry, networks, f"{path}: claims[{k}]") for k, entry in enumerate(table["claims"])
    )
    ids = [claim.id for claim in claims]
    if twice := {one for one in ids if ids.count(one) > 1}:
        raise DendrosimError(f"{path}: claims of one id: {', '.join(sorted(twice))}")
    return Paper(name, table["title"], table["model"], claims, networks)


def _claim(entry: Any, networks: Mapping[str, Any], where: str) -> Claim:
    shelves.check_keys(entry, _KEYS, where)
    for key in ("id", "where", "says"):
        if not entry.get(key):
            raise DendrosimError(f"{where}: the key {key!r} is missing")
    fields = {key: value for key, value in entry.items() if key != "with"}
    options = {
        key: _network(value, networks, where) for key, value in entry.get("with", {}).items()
    }
    claim = Claim(**fields, options=options)
    if claim.printed and not re.fullmatch(r"-?[\d,]+(\.\d+)?", claim.printed):
        raise DendrosimError(f"{where}: printed = {claim.printed!r} is not a number")
    if not claim.by and not claim.missing:
        raise DendrosimError(f"{where}: neither 'by' computes it nor 'missing' says why not")
    return claim


def _network(value: Any, networks: Mapping[str, Any], where: str) -> Any:
    """Return what ``"@name"`` stands for."""
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    if value[1:] not in networks:
        raise DendrosimError(f"{where}: no network {value!r}; {did_you_mean(value[1:], networks)}")
    return networks[value[1:]]


def _shown(value: float, printed: str) -> str:
    """Return a number with the decimals of the printed one, or one more where it says more."""
    decimals = len(printed.partition(".")[2])
    text = f"{value:,.{decimals + 1}f}"
    return text if 0 < decimals < 3 and not text.endswith("0") else f"{value:,.{decimals}f}"


def joined(parts: list[str]) -> str:
    """Return the parts that are not empty as one sentence."""
    return "; ".join(part for part in parts if part)
