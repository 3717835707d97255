"""BibTeX entries for models, methods, data sets and programs.

The entry of a model comes from the reference in its file; all others are in ``references.toml``.
"""

from __future__ import annotations

import re
import unicodedata
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
#: Where a further work may begin: at a letter that is not a small one.
_NEXT_WORK = re.compile(r"; (?=(?![a-z])[^\W\d_][^();]+ \(\d{4}\) )")
_SMALL = {"a", "an", "the", "on", "of", "for", "in", "to"}
#: Letters that Unicode does not take apart into a letter and an accent.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})


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

    The form of a work is ``A B, C D (year) Title. Journal 1:2-3``.  A reference in which a work has
    another form is one entry, with the whole text as its note.

    Raises
    ------
    DendrosimError
        If the model has no reference.
    """
    if not model.reference:
        raise DendrosimError(f"{model.source or model.name}: the model has no key 'reference'")
    found = [_parsed(part, model) for part in _NEXT_WORK.split(model.reference)]
    entries = [entry for entry in found if entry]
    if len(entries) < len(found):
        entries = [_unparsed(model)]
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


def _unparsed(model: Model) -> Entry:
    """Return an entry with the whole reference as a note."""
    return Entry(_name_key(model), "misc", {"title": model.title, "note": model.reference})


def _name_key(model: Model) -> str:
    return re.sub(r"\W+", "", model.name.partition(":")[0]) or "model"


def _parsed(reference: str, model: Model) -> Entry | None:
    """Parse one work in the style of the model files; None if its form is another one."""
    match = _REFERENCE.fullmatch(reference)
    people = _people(match["authors"]) if match else None
    if match is None or people is None:
        return None
    fields = {
        "author": " and ".join(people), "title": match["title"].rstrip("."),
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
    family = _key_words(people[0].partition(",")[0].replace("'", ""))
    words = _key_words(fields["title"])
    word = next((w for w in words if w not in _SMALL), (words or [""])[0])
    start = next((w for w in family if w.isalpha()), _name_key(model))
    return Entry(f"{start}{match['year']}{word}", kind, fields)


def _key_words(text: str) -> list[str]:
    """Return the words of a text for a key: small letters, without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", plain))


def _people(text: str) -> list[str] | None:
    """Return the authors for BibTeX, or None if it is not clear where one ends.

    ``Zhang S, Wang X-J et al.`` is ``Zhang, S.``, ``Wang, X.-J.``, ``others``.  Two authors may
    also be joined by "&" or "and", and ``Zhang, S., Wang, X.-J.`` has the same authors.
    """
    listed = re.sub(r",?\s+et al\.?$", "", text)
    found: list[str] = []
    for part in re.split(r",?\s+&\s+", listed):
        for some in _at_and(part):
            one = _of_list(some.split(", "))
            if one is None:
                return None
            found += one
    return [*found, "others"] if listed != text else found


def _at_and(text: str) -> list[str]:
    """Split at "and", unless it is inside the name of a group."""
    parts = re.split(r",?\s+and\s+", text)
    ends = [name for part in parts for name in (part.split(", ")[0], part.split(", ")[-1])]
    return parts if all(_person(name) or len(name.split()) == 1 for name in ends) else [text]


def _of_list(names: list[str]) -> list[str] | None:
    """Return the authors of names between commas."""
    if len(names) % 2 == 0 and all(map(_initials, names[1::2])):
        families, initials = names[::2], map(_initials, names[1::2])
        if not any(map(_person, families)):
            return [f"{a}, {b}" for a, b in zip(families, initials, strict=True)]
    found = [_person(name) or f"{{{name}}}" for name in names]  # a group is kept as written
    unclear = [name for name in names if not _person(name) and " " not in name
               and (name[:1].isupper() and not (name.isupper() and len(name) > 2))]  # fmt: skip
    return None if "" in names or (len(names) > 1 and unclear) else found


def _person(name: str) -> str:
    """Return ``Wang X-J`` as ``Wang, X.-J.``; nothing if it does not end with initials."""
    words = name.split()
    family = list(words)
    while len(family) > 1 and _initials(family[-1]):
        family.pop()
    initials = _initials("".join(words[len(family) :]))
    return f"{' '.join(family)}, {initials}" if initials else ""


def _initials(text: str) -> str:
    """Return ``X-J`` or ``X.-J.`` as ``X.-J.``; nothing if these are no initials."""
    letters = re.sub(r"[. ]", "", text)
    if not re.fullmatch(r"[^\W\d_]+(-[^\W\d_]+)*", letters):
        return ""
    if not all(letter.isupper() for letter in letters.replace("-", "")):
        return ""
    return "-".join(". ".join(part) + "." for part in letters.split("-"))
