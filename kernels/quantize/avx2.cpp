#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/quantize/quantize_vector.inl"
