#include "kernels/simd_avx2.h"

#include "kernels/conv2d_int8/store_rows.inl"

namespace octet::kernels {

void store_rows_avx2(const IntStore& store, const PackedView& constants, std::int64_t columns, const std::int32_t* sums,
                     std::int64_t first, std::int64_t last, void* dst) {
  store_rows(store, constants, columns, sums, first, last, dst);
}

}  // namespace octet::kernels
