#include "kernels/simd_avx512.h"

#include "kernels/conv2d_int8/vector_store.h"
#include "kernels/pool_int8/vector.inl"

namespace octet::kernels {

const char* max_pool_int8_fwd_int8_avx512_why_not(const PoolInt8Problem&) { return nullptr; }
void max_pool_int8_fwd_int8_avx512(const PoolInt8Problem& p, const PoolInt8Pointers& x, const Context&) {
  max_pool(p, x);
}

const char* avg_pool_int8_fwd_int8_avx512_why_not(const PoolInt8Problem&) { return nullptr; }
void avg_pool_int8_fwd_int8_avx512(const PoolInt8Problem& p, const PoolInt8Pointers& x, const Context&) {
  avg_pool(p, x);
}

}  // namespace octet::kernels
