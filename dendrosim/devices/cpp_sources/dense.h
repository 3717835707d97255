// The sum of the rows of a matrix, each times a number that is mostly 0: a layer's spikes.
//
// Rows whose number is not 0 are listed first.  Then so many columns at once are summed over them
// that the sums stay in registers.  Each sum is taken in the order of the rows.
#pragma once
#include <cstdint>

namespace dendrosim
{
#if defined(__AVX512F__)
enum { register_bytes = 64 };
#elif defined(__AVX__)
enum { register_bytes = 32 };
#else
enum { register_bytes = 16 };
#endif

template <typename T> struct Register
{
    typedef T Type __attribute__((vector_size(register_bytes), aligned(sizeof(T)), may_alias));
    enum { size = register_bytes/sizeof(T) };
};

// sums[j] of the next columns, R registers of them at a time; returns the first that is left
template <int R, typename T>
inline int columns(int j, const int n, const int count, const int* rows, const T* numbers,
                   const T* table, T* sums)
{
    typedef typename Register<T>::Type Lanes;
    const int width = R*Register<T>::size;
    for (; j + width <= n; j += width)
    {
        Lanes sum[R] = {};
        for (int a = 0; a < count; a++)
        {
            const Lanes* w = reinterpret_cast<const Lanes*>(table + int64_t(rows[a])*n + j);
            for (int r = 0; r < R; r++) sum[r] += numbers[a]*w[r];
        }
        for (int r = 0; r < R; r++) reinterpret_cast<Lanes*>(sums + j)[r] = sum[r];
    }
    return j;
}

// sums[j] = sum over k of source[k]*table[k*n + j]
template <int n_in, int n, typename T>
inline void weighted_rows(const T* source, const T* table, T* sums)
{
    static thread_local int rows[n_in];
    static thread_local T numbers[n_in];
    int count = 0;
    for (int k = 0; k < n_in; k++)
    {
        rows[count] = k;
        numbers[count] = source[k];
        count += source[k] != 0;
    }
    int j = columns<8>(0, n, count, rows, numbers, table, sums);
    j = columns<4>(j, n, count, rows, numbers, table, sums);
    j = columns<1>(j, n, count, rows, numbers, table, sums);
    for (; j < n; j++)
    {
        sums[j] = 0;
        for (int a = 0; a < count; a++) sums[j] += numbers[a]*table[int64_t(rows[a])*n + j];
    }
}
}
