"""Citations: every model by its file, methods and data by one table, each work once."""

from __future__ import annotations

import re

import pytest
from places import ROOT

import dendrosim as ds
from dendrosim import shelves
from dendrosim.errors import DendrosimError
from dendrosim.model.citations import _table, citable, citation, entries_of


def fields(text):
    """Parse BibTeX strictly into a list of (key, kind, fields)."""
    found = []
    for block in text.split("\n\n"):
        head, *lines, tail = block.splitlines()
        assert tail == "}"
        kind, key = re.fullmatch(r"@([a-z]+)\{([^\W_A-Z]+),", head).groups()
        values = {}
        for line in lines:
            name, value = re.fullmatch(r"  ([a-z]+) *= \{(.*)\},", line).groups()
            assert name not in values
            assert braces_match(value), line
            values[name] = value
        found.append((key, kind, values))
    return found


def braces_match(value):
    depth = 0
    for character in value:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("name", shelves.names("models"))
def test_every_model_is_cited_by_its_file(name):
    model = ds.load_model(name)
    found = fields(ds.citation(name))
    assert 1 <= len(found) <= 2
    for key, kind, values in found:
        assert kind in ("article", "inproceedings", "misc")
        assert values["author"] and values["title"].startswith("{")
        assert values["year"] in model.reference
        assert re.fullmatch(rf"[a-z]+{values['year']}[a-z0-9]+", key)
        assert kind == "misc" or {"journal", "booktitle"} & values.keys()
        for author in values["author"].split(" and "):
            assert author == "others" or re.fullmatch(r"[\w' -]+, [A-Z].*\.|\{.+\}", author)
        surname = values["author"].lstrip("{").split(",")[0].split()[0]
        assert surname in model.reference
    assert [v["doi"] for _, _, v in found if "doi" in v] == ([model.doi] if model.doi else [])


def test_two_works_in_one_file():
    first, second = fields(citation("kepecs_wang_2000:printed_nap"))
    assert first[2]["author"] == "Kepecs, A. and Wang, X.-J."
    assert (first[2]["volume"], first[2]["pages"]) == ("32-33", "181--187")
    assert "doi" not in first[2]
    assert second[2]["doi"] == "10.1523/JNEUROSCI.22-20-09053.2002"


def test_parts_of_a_reference():
    ((key, kind, values),) = fields(citation("lstm_lif"))
    assert (key, kind) == ("zhang2023long", "misc")
    assert values["eprint"] == "2307.07231" and values["archiveprefix"] == "arXiv"
    assert "note" not in values  # equation numbers are a position in the work
    ((_, _, values),) = fields(citation("pinsky_rinzel_1994"))
    assert values["note"] == "erratum 2:275 (1995)"
    ((key, _, values),) = fields(citation("lrmm"))
    assert (key, values["author"]) == ("anonymous2025unlocking", "{Anonymous authors}")


def test_the_table_is_whole():
    table = _table()
    named = {key for keys in table["names"].values() for key in keys}
    assert named == table["entries"].keys()
    assert set(table["names"]).isdisjoint(shelves.names("models"))
    for key, kind, values in fields(citation(*citable())):
        assert key in table["entries"]
        assert {"author", "title"} <= values.keys()
        assert kind != "article" or {"journal", "volume", "year"} <= values.keys()
    every = fields(citation(*citable()))
    assert len({key for key, _, _ in every}) == len(every) == len(named)


def test_what_the_package_offers_can_be_cited():
    learn = pytest.importorskip("dendrosim.learn")
    assert set(learn.SURROGATES) <= set(citable())
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert fields(citation("brian2"))[0][2]["doi"] in cff


def test_without_names_the_package_and_brian2():
    own, brian2 = fields(citation())
    assert own[2]["version"] == ds.__version__
    assert brian2[0] == "stimberg2019brian"


def test_each_work_once():
    layers = [ds.Layer("lif", 2, 3), ds.Layer("lstm_lif", 3, 3), ds.Layer("alif", 3, 3)]
    network = ds.Network.random(layers)
    found = fields(citation(network, "lif", ds.load_model("two_compartment"), "multi_gaussian"))
    assert [key for key, _, _ in found] == ["zhang2023long", "yin2021accurate"]
    assert len(fields(citation("lrmm", "retention", "lrmm_alif"))) == 1


def mine(folder, reference):
    path = folder / "my-model.toml"
    path.write_text(
        f'title = "Mine"\nkind = "discrete"\ninputs = ["I"]\noutput = "S"\n{reference}\n'
        'update = """\nU = 0.5*U + I\nS = int(U > 1)\n"""\n',
        encoding="utf-8",
    )
    return path


def test_a_model_of_ones_own(tmp_path):
    path = mine(tmp_path, 'reference = "my thesis, chapter 3"')
    ((key, kind, values),) = fields(citation(path))
    assert (key, kind) == ("mymodel", "misc")
    assert values == {"title": "{Mine}", "note": "my thesis, chapter 3"}
    path = mine(tmp_path, 'reference = "O\'Brien P, The Group et al. (2030) On X. J Y 3:4-5"')
    ((key, _, values),) = fields(citation(str(path)))
    assert key == "obrien2030x"
    assert values["author"] == "O'Brien, P. and {The Group} and others"


@pytest.mark.parametrize(
    ("people", "author"),
    [
        ("Brette R, Gerstner W", "Brette, R. and Gerstner, W."),
        ("Brette R & Gerstner W", "Brette, R. and Gerstner, W."),
        ("Brette R and Gerstner W", "Brette, R. and Gerstner, W."),
        ("Brette, R., Gerstner, W.", "Brette, R. and Gerstner, W."),
        ("Brette, R., & Gerstner, W. M.", "Brette, R. and Gerstner, W. M."),
        ("Brette R. M., Wang X.-J., and Roe JP", "Brette, R. M. and Wang, X.-J. and Roe, J. P."),
        ("Brette R, et al.", "Brette, R. and others"),
        ("Øst Å, van der Pol B", "Øst, Å. and van der Pol, B."),
        ("Morris & Lecar", "{Morris} and {Lecar}"),
        ("王 伟", "{王 伟}"),
        ("Office of Bread and Water", "{Office of Bread and Water}"),
        ("Roe J, IBM", "Roe, J. and {IBM}"),
        ("Gerstner, W", "Gerstner, W."),
    ],
)
def test_the_authors_of_a_reference(people, author, tmp_path):
    path = mine(tmp_path, f'reference = "{people} (2005) On X. J Y 3:4-5"')
    assert fields(citation(path))[0][2]["author"] == author


@pytest.mark.parametrize(
    "people", ["Smith, Jr., J.", "Brette, Romain, Gerstner, Wulfram", "Brette, R., Gerstner W"]
)
def test_unclear_authors_leave_the_reference_whole(people, tmp_path):
    text = f"{people} (2005) On X. J Y 3:4-5; Roe J (2006) On Y. J Y 4:5-6"
    ((key, kind, values),) = fields(citation(mine(tmp_path, f'reference = "{text}"')))
    assert (key, kind, values) == ("mymodel", "misc", {"title": "{Mine}", "note": text})


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("Lu V, Oe M (2020) The A. J Biol 1:2-3", "lu2020the"),
        ("Roe J (2020) 神经元. J Biol 1:2-3", "roe2020神经元"),
        ("Roe J (2020) ?. J Biol 1:2-3", "roe2020"),
        ("王 伟 (2020) On X. J Biol 1:2-3", "王2020x"),
        ("3 & 4 (2020) On X. J Biol 1:2-3", "mymodel2020x"),
        ("Øst Å (1961) Über X. J Biol 1:2-3", "ost1961uber"),
        ("Straße É (1961) X. J Biol 1:2-3", "strasse1961x"),
    ],
)
def test_keys_of_any_letters(reference, key, tmp_path):
    ((found, kind, values),) = fields(citation(mine(tmp_path, f'reference = "{reference}"')))
    assert (found, kind) == (key, "article")
    assert (values["journal"], values["volume"], values["pages"]) == ("J Biol", "1", "2--3")


def test_a_second_work_may_begin_with_any_letter(tmp_path):
    text = "Roe J (1960) On X. J Y 3:4-5; Øst Å (1961) On Y. J Y 4:5-6"
    found = fields(citation(mine(tmp_path, f'reference = "{text}"')))
    assert [key for key, _, _ in found] == ["roe1960x", "ost1961y"]


def test_refusals(tmp_path):
    with pytest.raises(DendrosimError, match="'shdd' cannot be cited; did you mean"):
        citation("shdd")
    with pytest.raises(DendrosimError, match="the model has no key 'reference'"):
        entries_of(ds.load_model(mine(tmp_path, "")))
    with pytest.raises(DendrosimError, match="3 is not the name or the path of a model"):
        citation(3)
    with pytest.raises(DendrosimError, match="has no variant 'x'"):
        citation("lrmm:x")
