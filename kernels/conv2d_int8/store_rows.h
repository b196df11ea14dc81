// The store by itself, for rows whose sums come from elsewhere.
#pragma once
#include "kernels/conv2d_int8/packed.h"

namespace octet::kernels {

/// dst[i, k] = store(sums[i, k] + bias[k]) for rows first <= i < last of `columns` accumulators.
void store_rows_avx2(const IntStore& store, const PackedView& constants, std::int64_t columns, const std::int32_t* sums,
                     std::int64_t first, std::int64_t last, void* dst);
void store_rows_avx512(const IntStore& store, const PackedView& constants, std::int64_t columns,
                       const std::int32_t* sums, std::int64_t first, std::int64_t last, void* dst);

}  // namespace octet::kernels
