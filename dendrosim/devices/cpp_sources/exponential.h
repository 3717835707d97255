// exp and what is made of it, as plain arithmetic: no call, no branch, no table.  A loop over neurons
// that uses them vectorises at the width of its variables, on any processor, and stays in registers.
//
//     exp(x) = 2^k exp(r),    x = k ln 2 + r,    |r| <= ln(2)/2
//
// k is read from the last bits of x/ln 2 + 3*2^(digits - 1), a number whose unit in the last place is
// 1.  r is exact because ln 2 is taken off in two parts (Cody and Waite 1980).  exp(r) = 1 + r + r^2 P
// with the P(r) of least error (Remez's exchange), summed in pairs (Estrin), whose chain is short.
//
// exp is within 1.5 units in the last place of the exact result, the others are within 3; where exp
// is below four times the least normal number it is 0.  NaN gives NaN, inf and -inf the limits, but
// exprel is inf as soon as exp is.
//
// Compile with -fno-associative-math: regrouped, the sums above cancel to nothing.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace dendrosim
{
// Constants end in L, because -fsingle-precision-constant would make floats of them
template <typename T> struct Format;

template <> struct Format<double>
{
    typedef int64_t Bits;
    static constexpr int digits = 52, bias = 1023;
    static constexpr double ln2_high = 6.93147180369123816490e-1L;
    static constexpr double ln2_low = 1.90821492927058770002e-10L;

    static double P(const double r)
    {
        const double c[] = {
            5.000000000000004366969075e-1L, 1.666666666666668420018964e-1L,
            4.166666666658302327615721e-2L, 8.333333333315602631044651e-3L,
            1.388888893007136830290645e-3L, 1.984126990109125425555594e-4L,
            2.480150667176045598043032e-5L, 2.755722950139275136593708e-6L,
            2.762558792284812734053128e-7L, 2.511403234275116199152562e-8L,
        };
        const double r2 = r*r, r4 = r2*r2;
        const double high = ((c[4] + r*c[5]) + r2*(c[6] + r*c[7])) + r4*(c[8] + r*c[9]);
        return ((c[0] + r*c[1]) + r2*(c[2] + r*c[3])) + r4*high;
    }
};

template <> struct Format<float>
{
    typedef int32_t Bits;
    static constexpr int digits = 23, bias = 127;
    static constexpr float ln2_high = 6.93145752e-1L;
    static constexpr float ln2_low = 1.42860677e-6L;

    static float P(const float r)
    {
        const float c[] = {
            5.0000000601890e-1L, 1.6666543712170e-1L, 4.1666285242303e-2L,
            8.3665328895228e-3L, 1.3946315157945e-3L,
        };
        const float r2 = r*r;
        return ((c[0] + r*c[1]) + r2*(c[2] + r*c[3])) + (r2*r2)*c[4];
    }
};

template <typename T>
using Floating = typename std::enable_if<std::is_floating_point<T>::value, T>::type;

// GCC makes one instruction of a bound only if it does not know the limit: it cannot know that no
// address has its first bit set.  NaN stays, by the order of the comparison.
template <typename T> inline T unknown(const T limit)
{
    static char somewhere;
    return limit + int(reinterpret_cast<uintptr_t>(&somewhere) >> (8*sizeof(uintptr_t) - 1));
}

template <typename T> inline T at_most(const T x, const T limit)
{
    const T most = unknown(limit);
    return most < x ? most : x;
}

template <typename T> inline T at_least(const T x, const T limit)
{
    const T least = unknown(limit);
    return least > x ? least : x;
}

// Where 2^(k - less) is 0 and where 2^k is no number any more
template <typename T> inline T lowest(const int less)
{
    return (less - Format<T>::bias)*T(0.693147180559945309417L);
}

template <typename T> inline T highest(const int less)
{
    return (Format<T>::bias + less + T(0.4L))*T(0.693147180559945309417L);
}

// The r of x and the scale 2^(k - less), for x between lowest and highest
template <typename T> struct Split
{
    T r, scale;

    Split(const T x, const int less)
    {
        typedef Format<T> F;
        const T shift = T(3)*(typename F::Bits(1) << (F::digits - 1)) + (F::bias - less);
        const T shifted = x*T(1.44269504088896340736L) + shift;
        const T k = shifted - shift;
        r = (x - k*F::ln2_high) - k*F::ln2_low;
        typename F::Bits bits;
        memcpy(&bits, &shifted, sizeof(T));
        bits <<= F::digits;
        memcpy(&scale, &bits, sizeof(T));
    }

    // exp(x) and exp(x) - 1 over 2^less; the 1 over 2^less is given
    T grown() const { return ((1 + r) + (r*r)*Format<T>::P(r))*scale; }
    T growth(const T one) const { return (r + (r*r)*Format<T>::P(r))*scale + (scale - one); }
};

template <typename T> inline Split<T> split(const T x, const int less)
{
    return Split<T>(at_least(at_most(x, highest<T>(less)), lowest<T>(less)), less);
}

template <typename T> inline Floating<T> exp(const T x)
{
    const T half = split(x, 1).grown();
    return half + half;
}

template <typename T> inline Floating<T> expm1(const T x)
{
    const T half = split(x, 1).growth(T(0.5L));
    return half + half;
}

// (exp(x) - 1)/x, and 1 at 0
template <typename T> inline Floating<T> exprel(const T x)
{
    const T near = 1e-30L;
    const T z = at_most(std::fabs(x) < near ? near : x, highest<T>(1));
    const T half = Split<T>(at_least(z, lowest<T>(1)), 1).growth(T(0.5L));
    return (half + half)/z;
}

template <typename T> inline Floating<T> cosh(const T x)
{
    const T quarter = split(std::fabs(x), 2).grown();
    const T half = quarter + quarter;
    return half + T(0.25L)/half;
}

template <typename T> inline Floating<T> sinh(const T x)
{
    const T quarter = split(std::fabs(x), 2).growth(T(0.25L));
    const T half = quarter + quarter;
    const T y = half*(1 + 1/(half + half + 1));
    return x < 0 ? -y : y;
}

template <typename T> inline Floating<T> tanh(const T x)
{
    const T growth = expm1(at_most(x + x, T(40)));
    return growth/(growth + 2);
}

// Of a whole number, as those of <cmath>
#define DENDROSIM_OF_INTEGERS(name)                                          \
    template <typename I>                                                    \
    inline typename std::enable_if<std::is_integral<I>::value, double>::type \
    name(const I x) { return name(double(x)); }
DENDROSIM_OF_INTEGERS(exp)
DENDROSIM_OF_INTEGERS(expm1)
DENDROSIM_OF_INTEGERS(exprel)
DENDROSIM_OF_INTEGERS(sinh)
DENDROSIM_OF_INTEGERS(cosh)
DENDROSIM_OF_INTEGERS(tanh)
#undef DENDROSIM_OF_INTEGERS
}
