// The first number of an array that is none or beyond a limit, by its bits: no setting of a compiler
// that trusts in numbers can make this true of all.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>
#include "exponential.h"

namespace dendrosim
{
// Without the sign: the bits of greater magnitudes are greater, infinity's and NaN's the greatest
template <typename T> inline typename Format<T>::Bits magnitude(const T x)
{
    typedef typename Format<T>::Bits Bits;
    Bits bits;
    memcpy(&bits, &x, sizeof(T));
    return bits & ~(Bits(1) << (8*sizeof(T) - 1));
}

// Its index, -1 if there is none; every finite number is within a limit that the type cannot hold
template <typename T>
inline int64_t first_beyond(const T* x, const int64_t n, const double limit)
{
    const double most = std::numeric_limits<T>::max();
    const auto allowed = magnitude(T(limit < most ? limit : most));
    int some = 0;
    #pragma omp parallel for schedule(static) reduction(|:some)
    for (int64_t j = 0; j < n; j++) some |= magnitude(x[j]) > allowed;
    int64_t j = some ? 0 : -1;
    while (some && magnitude(x[j]) <= allowed) j++;
    return j;
}

// Marks those that are none or beyond a limit and were not marked before, and lists them
template <typename T>
inline void mark_beyond(const T* x, const int64_t n, const double limit, std::vector<char>& marked,
                        std::vector<int64_t>& now)
{
    const double most = std::numeric_limits<T>::max();
    const auto allowed = magnitude(T(limit < most ? limit : most));
    for (int64_t j = 0; j < n; j++)
        if (magnitude(x[j]) > allowed && !marked[j]) { marked[j] = 1; now.push_back(j); }
}
}
