"""C++ that every fused kernel includes: functions of the C library, and those that it lacks."""

from __future__ import annotations

from dendrosim.model.exprel import NEAR, SMALLEST, coefficients

#: Functions of the C library used by the code, in a namespace ``math``.
LIBRARY = (
    "exp", "expm1", "log", "log10", "pow", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "asin", "acos", "atan", "fabs", "floor", "ceil", "fma",
)  # fmt: skip


def _series(itemsize: int) -> str:
    """Return the series of exprel's derivative in ``z`` by Horner's rule, as C++."""
    first, *rest = reversed(coefficients(itemsize))
    text = f"T({first!r})"
    for factor in rest:
        text = f"({text}*z + T({factor!r}))"
    return text


#: Helper functions required by the code.  ``T`` is the number type, ``INLINE`` the qualifiers of a
#: function, ``INFINITE`` the number infinity.
SUPPORT = f"""
INLINE T sign(T x) {{ return T(x > 0) - T(x < 0); }}
INLINE T logistic(T x) {{ return 1/(1 + math::exp(-x)); }}
INLINE T floored(T a, T b) {{ return a - b*math::floor(a/b); }}
INLINE T raised(T x, T low) {{ return x < low ? low : x; }}
INLINE T lowered(T x, T high) {{ return x > high ? high : x; }}
INLINE T exprel(T x)
{{
    const bool small = math::fabs(x) < T({SMALLEST!r});
    const T z = small ? T(1) : x;
    return small ? T(1) : math::expm1(z)/z;
}}
INLINE T exprel_slope(T x, T value)
{{
    const bool near = math::fabs(x) < T({NEAR!r});
    const T z = near ? x : T(0);
    const T series = sizeof(T) == 8 ? {_series(8)}
        : {_series(4)};
    const T far = near ? T(1) : x;
    const T above = value*(1 - 1/far) + 1/far;
    const T below = (math::exp(far) - value)/far;
    return near ? series : far > 0 ? above : below;
}}
"""


def library(source: str) -> str:
    """Return the namespace ``math`` for functions in namespace ``"std"``, or ``""`` for global."""
    return f"namespace math {{ {' '.join(f'using {source}::{name};' for name in LIBRARY)} }}"
