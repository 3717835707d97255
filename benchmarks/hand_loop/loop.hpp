// What the two hand-written loops share: memory, the loop over time, spikes, the command line.
//
//     g++ -O3 -march=native -ffast-math -fopenmp-simd -o kepecs_wang kepecs_wang.cpp
//     ./kepecs_wang float64 NEURONS STEPS DT_MS INPUT LOW HIGH SPIKES_FILE [TILE]
//
// INPUT is s or d (soma or dendrite); its current rises from LOW to HIGH uA/cm2 over the neurons.
// Prints the processor's seconds for the loop, the number of spikes and how many neurons ended as NaN.
// SPIKES_FILE gets pairs of int32: neuron, and the step at whose end it was above the threshold.
// TILE neurons are run through all steps before the next TILE (default: all of them).
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

template <class R> using Array = R* __restrict;

template <class R> R* filled(int n, double value)
{
    R* array = static_cast<R*>(aligned_alloc(64, (n*sizeof(R)/64 + 1)*64));
    for (int i = 0; i < n; i++) array[i] = R(value);
    return array;
}

// x/(exp(x) - 1), continued through 0
template <class R> inline R linoid(R x)
{
    const R grown = std::exp(x) - 1;
    return std::abs(x) < R(sizeof(R) == 4 ? 1e-3 : 1e-6) ? 1 - x/2 : x/grown;
}

// The exact solution of dx/dt = rate*(goal - x) after dt
template <class R> inline R relaxed(R x, R goal, R rate, R dt)
{
    return goal + (x - goal)*std::exp(-rate*dt);
}

// isnan that -ffast-math leaves alone
template <class R> bool is_nan(R x)
{
    const double value = x;
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return (bits & 0x7fffffffffffffffULL) > 0x7ff0000000000000ULL;
}

template <class R, template <class> class Neurons> int run(char** words, int count)
{
    const int n = atoi(words[2]), steps = atoi(words[3]);
    const R dt = R(atof(words[4]));
    const bool soma = words[5][0] == 's';
    const double low = atof(words[6]), high = atof(words[7]);
    const int tile = count > 9 ? atoi(words[9]) : n;
    std::vector<int32_t> spikes;
    std::vector<uint8_t> crossed(n);
    Neurons<R> neurons(n);
    for (int i = 0; i < n; i++)
        (soma ? neurons.I_s : neurons.I_d)[i] = R(n > 1 ? low + (high - low)*i/(n - 1) : low);
    const clock_t began = clock();
    for (int from = 0; from < n; from += tile)
    {
        const int to = from + tile < n ? from + tile : n;
        for (int k = 0; k < steps; k++)
        {
            if (!neurons.step(from, to, dt, crossed.data())) continue;
            const uint8_t *at = crossed.data() + from, *end = crossed.data() + to;
            while (at < end && (at = static_cast<const uint8_t*>(memchr(at, 1, end - at))))
            {
                spikes.push_back(int32_t(at - crossed.data()));
                spikes.push_back(k + 1);
                at++;
            }
        }
    }
    const double spent = double(clock() - began)/CLOCKS_PER_SEC;
    int bad = 0;
    for (int i = 0; i < n; i++) bad += is_nan(neurons.v_s[i]);
    FILE* file = fopen(words[8], "wb");
    if (!file) return 1;
    fwrite(spikes.data(), 4, spikes.size(), file);
    fclose(file);
    printf("%.9f %zu %d\n", spent, spikes.size()/2, bad);
    return 0;
}

template <template <class> class Neurons> int choose(char** words, int count)
{
    if (count < 9) return fprintf(stderr, "see loop.hpp\n"), 2;
    const bool wide = std::string(words[1]) == "float64";
    return wide ? run<double, Neurons>(words, count) : run<float, Neurons>(words, count);
}
