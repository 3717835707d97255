// The part of CUDA that the fused kernels use, on the host: a block's threads are threads here, so
// that a missing barrier is a race that the thread sanitizer sees.  Block comes after block.
#pragma once
#include <math.h>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>
#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct Index
{
    unsigned x;
};
inline thread_local Index threadIdx, blockIdx;
inline Index blockDim;
inline std::unique_ptr<std::barrier<>> whole_block, warps[32];
inline bool votes[32][32];

inline void __syncthreads() { whole_block->arrive_and_wait(); }
inline unsigned __ballot_sync(unsigned, bool vote)
{
    const unsigned warp = threadIdx.x/32, lane = threadIdx.x%32;
    votes[warp][lane] = vote;
    warps[warp]->arrive_and_wait();
    unsigned found = 0;
    for (unsigned k = 0; k < 32; k++) found |= unsigned(votes[warp][k]) << k;
    warps[warp]->arrive_and_wait();
    return found;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline double __longlong_as_double(long long x) { return __builtin_bit_cast(double, x); }
template <typename P> P __ldg(const P* p) { return *p; }

template <typename M> void run_blocks(void (*kernel)(M), long blocks, long threads, const M& memory)
{
    blockDim.x = threads;
    whole_block = std::make_unique<std::barrier<>>(threads);
    for (long w = 0; 32*w < threads; w++) warps[w] = std::make_unique<std::barrier<>>(32);
    for (long block = 0; block < blocks; block++) {
        std::vector<std::thread> all;
        for (long k = 0; k < threads; k++)
            all.emplace_back([=, &memory] {
                threadIdx.x = k;
                blockIdx.x = block;
                kernel(memory);
            });
        for (auto& one : all) one.join();
    }
}
