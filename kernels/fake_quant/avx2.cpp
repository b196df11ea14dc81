#define OCTET_IMPL avx2
#include "kernels/simd_avx2.h"

#include "kernels/fake_quant/fake_quant_vector.inl"
