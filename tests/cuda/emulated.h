// CUDA on the host, one thread after the other: enough for what brian2cuda writes of groups without
// synapses.  What a kernel of them would need of neighbouring threads ends the program.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __CUDACC__ 1

struct dim3
{
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 gridDim, blockDim, blockIdx, threadIdx;

// kernel<<<blocks, threads>>>(...) is written launch(kernel, blocks, threads)(...)
template <typename... P> struct Launch
{
    void (*kernel)(P...);
    dim3 grid, block;
    template <typename... A> void operator()(A&&... arguments)
    {
        gridDim = grid;
        blockDim = block;
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
            for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++) kernel(arguments...);
    }
};
template <typename... P> Launch<P...> launch(void (*kernel)(P...), dim3 grid, dim3 block)
{
    return {kernel, grid, block};
}

enum curandStatus_t { CURAND_STATUS_SUCCESS, CURAND_STATUS_NOT_INITIALIZED, CURAND_STATUS_ALLOCATION_FAILED };
enum cudaError { cudaSuccess, cudaErrorMemoryAllocation };
typedef cudaError cudaError_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaLimit { cudaLimitMallocHeapSize };
struct cudaDeviceProp
{
    char name[256] = "emulated";
    size_t totalGlobalMem = size_t(1) << 30, sharedMemPerBlock = 49152;
    int maxThreadsPerBlock = 64, warpSize = 32, multiProcessorCount = 1, maxThreadsPerMultiProcessor = 64;
    int major = 9, minor = 0;
};
struct cudaFuncAttributes
{
    int maxThreadsPerBlock = 64, numRegs = 1;
    size_t sharedSizeBytes = 0, localSizeBytes = 0, constSizeBytes = 0;
};
inline const char* cudaGetErrorString(cudaError) { return "none"; }
inline cudaError cudaGetLastError() { return cudaSuccess; }
inline cudaError cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError cudaDeviceReset() { return cudaSuccess; }
inline cudaError cudaSetDevice(int) { return cudaSuccess; }
inline cudaError cudaProfilerStart() { return cudaSuccess; }
inline cudaError cudaProfilerStop() { return cudaSuccess; }
inline cudaError cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
inline cudaError cudaGetDeviceProperties(cudaDeviceProp* p, int) { *p = cudaDeviceProp(); return cudaSuccess; }
inline cudaError cudaMemGetInfo(size_t* a, size_t* b) { *a = *b = size_t(1) << 30; return cudaSuccess; }
// memory that is not set holds 0xA5, and what is freed too
inline cudaError cudaMalloc(void** p, size_t n) { *p = malloc(n + 1); memset(*p, 0xA5, n); return cudaSuccess; }
template <typename T> cudaError cudaMalloc(T** p, size_t n) { return cudaMalloc((void**)p, n); }
inline cudaError cudaFree(void* p) { free(p); return cudaSuccess; }
inline cudaError cudaMemset(void* p, int v, size_t n) { memset(p, v, n); return cudaSuccess; }
inline cudaError cudaMemcpy(void* to, const void* from, size_t n, cudaMemcpyKind) { memcpy(to, from, n); return cudaSuccess; }
template <typename T> cudaError cudaMemcpyToSymbol(T& symbol, const void* from, size_t n) { memcpy((void*)&symbol, from, n); return cudaSuccess; }
template <typename F> cudaError cudaFuncGetAttributes(cudaFuncAttributes* a, F) { *a = cudaFuncAttributes(); return cudaSuccess; }
template <typename F> cudaError cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, F, size_t = 0, int = 0) { *grid = 1; *block = 64; return cudaSuccess; }
template <typename F> cudaError cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, F, int, size_t) { *n = 1; return cudaSuccess; }
template <typename T, typename V> T atomicAdd(T* p, V v) { T old = *p; *p += v; return old; }
template <typename T, typename C, typename V> T atomicCAS(T* p, C compare, V v) { T old = *p; if (old == compare) *p = v; return old; }
template <typename T> T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }
inline void __syncthreads() { abort(); }
inline void __threadfence() { abort(); }
inline const char* _curandGetErrorEnum(curandStatus_t) { return "none"; }
inline long long __double_as_longlong(double x) { long long r; memcpy(&r, &x, 8); return r; }
inline double __longlong_as_double(long long x) { double r; memcpy(&r, &x, 8); return r; }
inline int __float_as_int(float x) { int r; memcpy(&r, &x, 4); return r; }
inline float __int_as_float(int x) { float r; memcpy(&r, &x, 4); return r; }

typedef void* curandGenerator_t;
enum curandRngType_t { CURAND_RNG_PSEUDO_DEFAULT };
struct curandState {};
inline void curand_init(unsigned long long, unsigned long long, unsigned long long, curandState*) {}
template <typename... A> curandStatus_t curandCreateGenerator(A...) { return CURAND_STATUS_SUCCESS; }
template <typename... A> curandStatus_t curandDestroyGenerator(A...) { return CURAND_STATUS_SUCCESS; }
template <typename... A> curandStatus_t curandSetPseudoRandomGeneratorSeed(A...) { return CURAND_STATUS_SUCCESS; }
template <typename... A> curandStatus_t curandSetGeneratorOffset(A...) { return CURAND_STATUS_SUCCESS; }
template <typename... A> curandStatus_t curandGenerateUniform(A...) { abort(); }
template <typename... A> curandStatus_t curandGenerateUniformDouble(A...) { abort(); }
template <typename... A> curandStatus_t curandGenerateNormal(A...) { abort(); }
template <typename... A> curandStatus_t curandGenerateNormalDouble(A...) { abort(); }
template <typename... A> curandStatus_t curandGeneratePoisson(A...) { abort(); }
inline unsigned curand_poisson(curandState*, double) { abort(); }
inline double curand_uniform_double(curandState*) { abort(); }
inline float curand_uniform(curandState*) { abort(); }
inline double curand_normal_double(curandState*) { abort(); }
inline float curand_normal(curandState*) { abort(); }

namespace thrust
{
template <typename T> struct device_ptr
{
    T* p;
    operator T*() const { return p; }
};
template <typename T> T* raw_pointer_cast(T* p) { return p; }
template <typename T> T* raw_pointer_cast(device_ptr<T> p) { return p.p; }
template <typename T> device_ptr<T> device_pointer_cast(T* p) { return {p}; }
template <typename T> struct device_vector : std::vector<T>
{
    using std::vector<T>::vector;
    device_vector() {}
    device_vector(const std::vector<T>& other) : std::vector<T>(other) {}
    using std::vector<T>::operator=;
    device_vector& operator=(const std::vector<T>& other) { std::vector<T>::operator=(other); return *this; }
    T& operator[](size_t i) { return this->data()[i]; }  // also of an empty one: brian2cuda asks
};
template <typename T> using host_vector = device_vector<T>;
using std::copy;
using std::fill;
struct system_error : std::runtime_error
{
    using std::runtime_error::runtime_error;
};
}
