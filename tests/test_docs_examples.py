"""What the pages show is executed: code in order of the page, commands as far as their options.

The guide's python blocks run here.  The notebooks run when `make docs` builds the pages; here all
are read, and the one runs whose promise is checked.  What builds the pages is tried on small ones.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from runpy import run_path

import click
import nbformat
import pytest
from places import ROOT

import dendrosim as ds
from dendrosim.cli.commands import commands

GUIDE = [*sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "docs" / "tour.md"]
EXTENSIONS = ROOT / "docs" / "_ext"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.md"))
BLOCK = re.compile(r"^```(\S+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == kind]


def cells(page: Path) -> list[str]:
    return blocks(page, "{code-cell}")


def python(page: Path) -> str:
    """Return the python of a notebook, without the words to the notebook itself."""
    return "".join(cell.replace("%matplotlib inline\n", "") for cell in cells(page)
                   if not cell.startswith("%%"))  # fmt: skip


def run(code: list[str], page: Path) -> dict:
    names: dict = {}
    for text in code:
        exec(compile(text, str(page), "exec"), names)
    return names


@pytest.mark.parametrize("page", [p for p in GUIDE if blocks(p, "python")], ids=lambda p: p.stem)
def test_the_guide_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(blocks(page, "python"), page)


def test_a_model_of_your_own_is_little_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = ROOT / "notebooks" / "your_own_model.md"
    file, *code = cells(page)
    head, _, text = file.partition("\n")
    Path(head.removeprefix("%%writefile ")).write_text(text, encoding="utf-8")
    names = run(code, page)
    assert names["losses"][-1] < 0.6 * names["losses"][0]
    assert names["result"].equal
    lines = [line for line in code[0].splitlines() if line]
    assert len(lines) <= 25, "the page promises little code"


COMMANDS = [
    (page.stem, line.removeprefix("$ "))
    for page in (*GUIDE, *NOTEBOOKS, ROOT / "README.md")
    for text in blocks(page, "console")
    for line in re.sub(r" *\\\n *", " ", text).splitlines()  # a command may have several lines
    if line.startswith("$ dendrosim ")
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_has_such_options(page, line):
    _, *words = shlex.split(line, comments=True)
    name, *words = words
    command = commands.get_command(click.Context(commands), name)
    assert command is not None, f"there is no command {name}"
    command.make_context(name, words)  # parses and checks; runs nothing


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_a_notebook_uses_public_names(page):
    for node in ast.walk(ast.parse(python(page))):
        if isinstance(node, ast.ImportFrom):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        else:
            continue
        assert not any(name.startswith("_") for name in names), ast.unparse(node)


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_the_code_of_a_notebook_is_clean(page, tmp_path):
    path = tmp_path / f"{page.stem}.py"
    path.write_text(python(page), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    rules = ["--ignore", "D,B018,E402,E703", str(path)]  # a cell ends with a value, or with none
    done = subprocess.run([*ruff, *rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_notebook_is_in_the_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.stem for page in NOTEBOOKS if f"generated/notebooks/{page.stem}\n" not in index]
    assert missing == []


def test_the_modules_that_the_tour_names_are_there():
    text = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    package = ROOT / "dendrosim"
    rooms = {path.name for path in package.iterdir() if path.is_dir()}
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", text)
    paths = [package.joinpath(*name.split(".")) for name in named if name.split(".")[0] in rooms]
    paths += [package / name for name in re.findall(r"`([a-z_/]+\.py|[a-z_/]+/)`", text)
              if name.split("/")[0] in rooms]  # fmt: skip
    assert len(paths) > 25
    missing = [str(p) for p in paths if not (p.exists() or p.with_suffix(".py").is_file())]
    assert missing == []


def test_the_files_of_the_contributing_guide_are_valid(tmp_path):
    """Its recipes are tried as a whole by hand; here its model fires and its code is Python."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    model, protocol, *_ = blocks(ROOT / "CONTRIBUTING.md", "toml")
    paths = tmp_path / "resonate_and_fire.toml", tmp_path / "two_steps.toml"
    for path, text in zip(paths, (model, protocol), strict=True):
        path.write_text(text, encoding="utf-8")
    assert len(ds.load_protocol(paths[1]).stimuli) == 2
    drive = ds.Protocol("500 ms", [ds.Stimulus("soma", "constant", amplitude="15")])
    run = ds.simulate(paths[0], drive, device="numpy", dt="1 ms", progress=False)
    assert 0 < len(run.trains[0]) < 500
    for _, text in re.findall(r"(?ms)^( *)```python\n(.*?)^\1```", page):
        code = textwrap.dedent(text)
        entry = code.startswith('"') and not code.startswith('"""')  # of a dict
        ast.parse(f"{{{code}}}" if entry else code)


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_a_notebook_for_jupyter_has_the_code_of_its_source_and_was_run(page):
    ipynb = run_path(str(EXTENSIONS / "ipynb.py"))
    path = page.with_suffix(".ipynb")
    written = nbformat.read(path, as_version=4)
    nbformat.validate(written)
    source = ipynb["converted"](page.read_text(encoding="utf-8"))
    assert ipynb["code"](written) == ipynb["code"](source), "run `make notebooks`"
    code = [cell for cell in written.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs and not any(output.output_type == "error" for output in outputs)


def test_the_notebooks_for_jupyter_are_few_and_small():
    written = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [path.stem for path in written] == [page.stem for page in NOTEBOOKS]
    assert sum(path.stat().st_size for path in written) < 3e6


LOADED = {
    '<script src="https://cdn.example/a.js"></script>': True,
    '<script src="_static/a.js"></script>': False,
    '<link rel="stylesheet" href="//cdn.example/a.css">': True,
    '<link rel="canonical" href="https://docs.example/">': False,
    '<img src="http://badge.example/b.svg">': True,
    "<style>@import 'https://fonts.example/f.css';</style>": True,
    '<p style="background: url(https://a.example/b.png)">': True,
    '<a href="https://doi.org/10.1">read</a> @import "https://a.example/";': False,
}


@pytest.mark.parametrize("text", LOADED)
def test_what_a_page_loads_from_another_host_is_seen(text):
    requests = run_path(str(EXTENSIONS / "offline.py"))["requests"]
    assert bool(requests(text)) == LOADED[text]


def test_an_equation_becomes_mathml():
    mathml = run_path(str(EXTENSIONS / "mathml.py"))["mathml"]
    found = mathml(
        r"\begin{aligned} \frac{dv}{dt} &= \exp\!\left(x\right) \\ y &\leftarrow 1 \end{aligned}"
    )
    assert found.startswith("<math") and "<mfrac>" in found and "←" in found
    assert found.count("<mtr>") == 2


def test_a_build_warns_of_an_equation_that_fails_and_of_a_request(tmp_path):
    (tmp_path / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_parser', 'mathml', 'offline']\n"
        "html_math_renderer = 'mathml'\nmyst_enable_extensions = ['dollarmath']\n"
    )
    page = "# Page\n\n$a^2$ and $\\nonsense{a}$\n\n<img src='https://a.example/b.png'>\n"
    (tmp_path / "index.md").write_text(page)
    sphinx = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-b",
        "html",
        str(tmp_path),
        str(tmp_path / "out"),
    ]
    told = subprocess.run(sphinx, capture_output=True, text=True, check=True).stderr
    assert "an equation has no MathML" in told and "nonsense" in told
    assert "index.html loads https://a.example/b.png" in told
    assert len([line for line in told.splitlines() if "WARNING" in line]) == 2
    built = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "<msup>" in built and "mathjax.js" not in built and "tex-mml" not in built
