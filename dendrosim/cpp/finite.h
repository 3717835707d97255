// The first number of an array that is none, by its bits: no setting of a compiler that trusts in
// numbers can make this true of all.
#pragma once
#include <cstdint>
#include <cstring>
#include "exponential.h"

namespace dendrosim
{
template <typename T> inline bool is_finite(const T x)
{
    typedef typename Format<T>::Bits Bits;
    const Bits exponent = Bits(2*Format<T>::bias + 1) << Format<T>::digits;
    Bits bits;
    memcpy(&bits, &x, sizeof(T));
    return (bits & exponent) != exponent;
}

// Its index, -1 if there is none
template <typename T> inline int64_t first_not_finite(const T* x, const int64_t n)
{
    int some = 0;
    #pragma omp parallel for schedule(static) reduction(|:some)
    for (int64_t j = 0; j < n; j++) some |= !is_finite(x[j]);
    int64_t j = some ? 0 : -1;
    while (some && is_finite(x[j])) j++;
    return j;
}
}
