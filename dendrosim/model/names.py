"""Which identifiers a model may give to its variables: those that no device owns already.

Every variable of a model becomes a name in Python, in C++ and in Brian2's own tables, and a
column of a recording.  A name that means something else in one of them is refused when the file
is read, not by a compiler.
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

# In every Brian2 group; a Python builtin as well, for Brian2 evaluates constant subexpressions
_BRIAN2 = {
    *DEFAULT_FUNCTIONS, *DEFAULT_CONSTANTS, *dir(builtins), "sigmoid", "t", "dt", "t_in_timesteps",
    "i", "N", "xi", "refractory", "lastspike", "not_refractory", "variables",
    "source",  # of a monitor
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
# Of Cython, and the names of types that its code declares variables with
_CYTHON = {
    "DEF", "ELIF", "ELSE", "IF", "api", "bint", "by", "cdef", "cimport", "cpdef", "ctypedef",
    "cython", "exec", "fused", "gil", "include", "nogil", "numpy", "readonly", "size_t", "ssize_t",
    "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t",
    "bool_t", "float32_t", "float64_t",
}  # fmt: skip


@cache
def _taken() -> frozenset[str]:
    """Return every name that something owns.

    ``c_macros.txt`` has the macros of the headers that generated code includes (glibc 2.36, Python
    and numpy): the preprocessor would replace a variable of such a name.
    """
    macros = files("dendrosim.model").joinpath("c_macros.txt").read_text(encoding="ascii").split()
    return frozenset({*_BRIAN2, *_RECORDING, *_CPP, *_CYTHON, *UNITS, *macros})


def is_name(text: Any) -> bool:
    """Whether `text` is a plain identifier that nothing on any device owns already."""
    return (
        isinstance(text, str)
        and len(text) <= MAX_NAME
        and re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII) is not None
        and "__" not in text
        and not text.endswith("_")  # Brian2: the value without its unit
        and not text.endswith(("_pre", "_post"))  # Brian2: of the two ends of a synapse
        and not text.startswith(("stimulus_", "run_", "xi_"))
        and text not in _taken()
        and not keyword.iskeyword(text)
    )
