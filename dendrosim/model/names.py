"""Which identifiers a model may use for its variables: those that no device reserves.

Every variable of a model becomes a name in Python, in C++ and in Brian2's internal tables, and a
column of a recording.  A reserved name is refused when the file is read, because a compiler error
later would be hard to understand.
"""

from __future__ import annotations

import builtins
import keyword
import re
from functools import cache
from importlib.resources import files
from typing import Any

from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS

from dendrosim.model.quantities import UNITS

MAX_NAME = 60

# names in every Brian2 group; also Python builtins: Brian2 evaluates constant subexpressions
_BRIAN2 = {
    *DEFAULT_FUNCTIONS, *DEFAULT_CONSTANTS, *dir(builtins), "sigmoid", "t", "dt", "t_in_timesteps",
    "i", "N", "xi", "refractory", "lastspike", "not_refractory", "variables",
    "source",  # attribute of a monitor
}  # fmt: skip
_RECORDING = {"time", "neuron", "spike", "spike_time", "spike_neuron"}
_CPP = {
    "alignas", "alignof", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "case", "catch",
    "char", "char16_t", "char32_t", "compl", "const", "const_cast", "constexpr", "decltype",
    "default", "delete", "do", "double", "dynamic_cast", "enum", "explicit", "export", "extern",
    "false", "float", "friend", "goto", "inline", "long", "mutable", "namespace", "new",
    "noexcept", "not_eq", "nullptr", "operator", "or_eq", "private", "protected", "public",
    "register", "reinterpret_cast", "restrict", "short", "signed", "sizeof", "static",
    "static_assert", "static_cast", "struct", "switch", "template", "this", "thread_local",
    "throw", "true", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual",
    "void", "volatile", "wchar_t", "xor", "xor_eq",
    "assert", "std",
}  # fmt: skip
# Cython's keywords, and the type names in the declarations of its code
_CYTHON = {
    "DEF", "ELIF", "ELSE", "IF", "api", "bint", "by", "cdef", "cimport", "cpdef", "ctypedef",
    "cython", "exec", "fused", "gil", "include", "nogil", "numpy", "readonly", "size_t", "ssize_t",
    "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t",
    "bool_t", "float32_t", "float64_t",
}  # fmt: skip


@cache
def _taken() -> frozenset[str]:
    """Return every reserved name.

    ``c_macros.txt`` lists the macros of the headers that generated code includes (glibc 2.36,
    Python and numpy): the preprocessor would replace a variable of that name.
    """
    macros = files("dendrosim.model").joinpath("c_macros.txt").read_text(encoding="ascii").split()
    return frozenset({*_BRIAN2, *_RECORDING, *_CPP, *_CYTHON, *UNITS, *macros})


def is_name(text: Any) -> bool:
    """Whether `text` is a plain identifier that no device reserves."""
    return (
        isinstance(text, str)
        and len(text) <= MAX_NAME
        and re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII) is not None
        and "__" not in text
        and not text.endswith("_")  # Brian2: suffix for a value without its unit
        and not text.endswith(("_pre", "_post"))  # Brian2: suffixes for the two sides of a synapse
        and not text.startswith(("stimulus_", "run_", "xi_"))
        and text not in _taken()
        and not keyword.iskeyword(text)
    )
