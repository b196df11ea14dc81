#define OCTET_IMPL avx512
#include "kernels/simd_avx512.h"

#include "kernels/fake_quant/fake_quant_vector.inl"
