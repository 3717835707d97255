"""BibTeX entries for models, methods, data sets and programs.

The entry of a model comes from the reference in its file; all others are in ``references.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dendrosim import shelves
from dendrosim._version import __version__
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.files import path_text
from dendrosim.model.model import Model
from dendrosim.model.toml import load_model

if TYPE_CHECKING:
    import os

    from dendrosim.networks.network import Network

_FIELDS = (
    "author", "title", "journal", "booktitle", "volume", "pages", "year", "version",
    "howpublished", "note", "doi", "eprint", "url",
)  # fmt: skip
#: "Zhang S, Yang Q (2023) Title. Nat Mach Intell 3:905-913, eqs 9-11"
_REFERENCE = re.compile(
    r"(?P<authors>[^()]+?) \((?P<year>\d{4})\) (?P<title>.+?[.?!]) (?P<rest>.+)"
)
_JOURNAL = re.compile(r"(?P<journal>[A-Z][A-Za-z ]+?) (?P<volume>\d[\d-]*):(?P<pages>[\d-]+)")
_MEETING = re.compile(r"(?P<booktitle>[A-Z][A-Za-z]+ \d{4})\b,? ?")
_ARXIV = re.compile(r"arXiv:(?P<eprint>\d{4}\.\d{4,5})")
_URL = re.compile(r"(?P<url>https?://\S+)")


@dataclass(frozen=True)
class Entry:
    """One BibTeX entry.

    Attributes
    ----------
    key, kind
        ``zhang2023long`` and ``article``.
    fields
        Name to text, in the order of output.
    """

    key: str
    kind: str
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """The entry as text of a .bib file."""
        lines = [f"@{self.kind}{{{self.key},"]
        for name in _FIELDS:
            if name in self.fields:
                value = self.fields[name]
                lines.append(f"  {name:13} = {{{f'{{{value}}}' if name == 'title' else value}}},")
        if "eprint" in self.fields:
            lines.append("  archiveprefix = {arXiv},")
        return "\n".join([*lines, "}"])

    @property
    def identity(self) -> str:
        """The key that is equal for two entries of the same work."""
        return self.fields.get("doi", self.fields.get("title", self.key)).lower()


def citation(*names: str | os.PathLike | Model | Network) -> str:
    """Return BibTeX for models, methods, data sets and programs.

    Parameters
    ----------
    *names
        Models by name, path or value, networks, and names of ``references.toml`` such as
        ``"rush_larsen"``, ``"shd"``, ``"landscape"``; by default dendrosim and Brian2.

    Returns
    -------
    str
        Entries separated by an empty line; each work appears once.

    Raises
    ------
    DendrosimError
        If a name is neither a model nor in the table, or a model has no reference.

    Examples
    --------
    >>> print(citation("alif"))
    @article{yin2021accurate,
      author        = {Yin, B. and Corradi, F. and Bohte, S. M.},
      title         = {{Accurate and efficient time-domain classification with adaptive spiking \
recurrent neural networks}},
      journal       = {Nat Mach Intell},
      volume        = {3},
      pages         = {905--913},
      year          = {2021},
      doi           = {10.1038/s42256-021-00397-w},
    }
    """
    found: dict[str, Entry] = {}
    for name in names or ("dendrosim", "brian2"):
        for entry in _entries(name):
            found.setdefault(entry.identity, entry)
    return "\n\n".join(entry.text for entry in found.values())


def citable() -> list[str]:
    """Return the names in ``references.toml`` that `citation` accepts, sorted."""
    return sorted(_table()["names"])


def entries_of(model: Model) -> list[Entry]:
    """Return the entries of a model's reference, which may list several works separated by ``;``.

    Raises
    ------
    DendrosimError
        If the model has no reference.
    """
    if not model.reference:
        raise DendrosimError(f"{model.source or model.name}: the model has no key 'reference'")
    parts = re.split(r"; (?=[A-Z][^();]+ \(\d{4}\) )", model.reference)
    entries = [_parsed(part, model) for part in parts]
    for entry in entries:  # of several works, the doi names one by its first page
        first = entry.fields.get("pages", "").partition("-")[0]
        if model.doi and (len(entries) == 1 or (first and first in model.doi)):
            entry.fields["doi"] = model.doi
    return entries


def _entries(name: Any) -> list[Entry]:
    if isinstance(name, Model):
        return entries_of(name)
    if hasattr(name, "layers"):
        return [entry for layer in name.layers for entry in entries_of(layer.model)]
    text = path_text(name, "model")
    table = _table()
    if text in table["names"]:
        return [_tabled(key, table["entries"][key]) for key in table["names"][text]]
    known = [*shelves.names("models"), *table["names"]]
    if text.partition(":")[0] in known or text.endswith(".toml") or ".toml:" in text:
        return entries_of(load_model(text))
    raise DendrosimError(f"{text!r} cannot be cited; {did_you_mean(text, known)}")


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Any]:
    return shelves.read_toml(Path(str(files("dendrosim.model"))) / "references.toml")


def _tabled(key: str, fields: Mapping[str, str]) -> Entry:
    rest = {name: value for name, value in fields.items() if name != "type"}
    if key == "dendrosim":
        rest["version"] = __version__
    return Entry(key, fields["type"], rest)


def _parsed(reference: str, model: Model) -> Entry:
    """Parse a reference in the style of the model files; unparsed text goes to ``note``."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        key = re.sub(r"\W+", "", model.name.partition(":")[0]) or "model"
        return Entry(key, "misc", {"title": model.title, "note": reference})
    fields = {
        "author": _authors(match["authors"]), "title": match["title"].rstrip("."),
        "year": match["year"],
    }  # fmt: skip
    kind, rest = "misc", match["rest"]
    for pattern, what in ((_JOURNAL, "article"), (_MEETING, "inproceedings"), (_ARXIV, None),
                          (_URL, None)):  # fmt: skip
        found = pattern.search(rest) if what is None else pattern.match(rest)
        if found and (what is None or kind == "misc"):
            fields |= {name: value for name, value in found.groupdict().items()}
            kind = what or kind
            rest = rest[: found.start()] + rest[found.end() :]
    if "pages" in fields:
        fields["pages"] = fields["pages"].replace("-", "--")
    rest = re.sub(r"\b(eq|eqs|Table|Fig)\b.*", "", rest)  # the location in the work
    rest = re.sub(r"^[\s.,;]+|[\s.,;]+$", "", rest)
    if rest:
        fields["note"] = rest
    family = re.sub(r"[^a-z ]", "", fields["author"].partition(",")[0].lower()).split()[0]
    words = [w for w in re.findall(r"[a-z0-9]+", fields["title"].lower()) if w not in _SMALL]
    return Entry(f"{family}{match['year']}{words[0]}", kind, fields)


_SMALL = {"a", "an", "the", "on", "of", "for", "in", "to"}


def _authors(text: str) -> str:
    """Return ``Zhang S, Wang X-J et al.`` as ``Zhang, S. and Wang, X.-J. and others``."""
    listed = re.sub(r"\s+et al\.?$", "", text)
    written = []
    for author in listed.split(", "):
        family, _, initials = author.rpartition(" ")
        if not family or not re.fullmatch(r"[A-Z]+(-[A-Z]+)*", initials):
            written.append(f"{{{author}}}")  # a group author, kept as written
            continue
        parts = [". ".join(part) + "." for part in initials.split("-")]
        written.append(f"{family}, {'-'.join(parts)}")
    return " and ".join([*written, "others"] if listed != text else written)
