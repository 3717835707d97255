"""Equations as MathML, written into the page when it is built.

Every browser of today draws MathML by itself, so a page needs neither JavaScript nor a network. The
converter is that of docutils. What it cannot convert is a warning, and `make docs` ends on one.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

#: A negative space before a bracket, which TeX needs after a function's name and MathML does not.
TIGHT = re.compile(r"\\!\s*(?=\\left)")


def mathml(text: str, as_block: bool = False) -> str:
    """Return LaTeX as MathML on one line.

    Raises
    ------
    docutils.utils.math.MathError
        If the text has a command that the converter does not know.
    """
    return re.sub(r">\n\s*<", "><", tex2mathml(TIGHT.sub("", text), as_block))


def _converted(translator: HTML5Translator, node: nodes.Element, as_block: bool) -> str:
    text = node.astext()
    try:
        return mathml(text, as_block)
    except MathError as error:
        logger.warning("an equation has no MathML: %s in %r", error, text, location=node)
        return f"<code>{translator.encode(text)}</code>"


def visit_math(translator: HTML5Translator, node: nodes.math) -> None:
    """Write an equation within a line."""
    translator.body.append(_converted(translator, node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed equation, which may be wider than the page."""
    translator.body.append(translator.starttag(node, "div", CLASS="equation"))
    translator.body.append(_converted(translator, node, as_block=True))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: object) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.config.html_static_path.append(str(Path(__file__).parent / "static"))
    app.add_css_file("mathml.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
