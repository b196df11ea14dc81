#include "kernels/simd_avx512.h"

#include "kernels/conv2d_int8/vector_store.h"
#include "kernels/eltwise_int8/vector.inl"

namespace octet::kernels {

const char* add_int8_fwd_int8_avx512_why_not(const EltwiseInt8Problem&) { return nullptr; }
void add_int8_fwd_int8_avx512(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x, const Context&) { add(p, x); }

const char* requantize_int8_fwd_int8_avx512_why_not(const EltwiseInt8Problem&) { return nullptr; }
void requantize_int8_fwd_int8_avx512(const EltwiseInt8Problem& p, const EltwiseInt8Pointers& x, const Context&) {
  requantize(p, x);
}

}  // namespace octet::kernels
