// store_rows() of store_rows.h on vectors of the including file (simd_avx2.h or simd_avx512.h).
#pragma once
#include "kernels/conv2d_int8/store_rows.h"
#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

template <StoreKind K>
void store_rows(const VectorStore& store, const PackedView& constants, std::int64_t columns, const std::int32_t* sums,
                std::int64_t first, std::int64_t last, void* dst) {
  for (std::int64_t row = first; row < last; ++row) {
    for_vectors(0, columns, [&](std::int64_t k, auto part) {
      const std::int64_t i = row * columns + k;
      const VecI a = load(sums + i, part) + load(constants.bias + k, part);
      store_accumulators<K>(store, a, load(constants.multiplier + k, part), load(constants.bias_f32 + k, part), dst, i,
                            part);
    });
  }
}

inline void store_rows(const IntStore& store, const PackedView& constants, std::int64_t columns,
                       const std::int32_t* sums, std::int64_t first, std::int64_t last, void* dst) {
  const VectorStore s = vector_store(store);
  switch (s.kind) {
    case StoreKind::onnx:
      return store_rows<StoreKind::onnx>(s, constants, columns, sums, first, last, dst);
    case StoreKind::paddle:
      return store_rows<StoreKind::paddle>(s, constants, columns, sums, first, last, dst);
    case StoreKind::floats:
      return store_rows<StoreKind::floats>(s, constants, columns, sums, first, last, dst);
  }
}

}  // namespace
}  // namespace octet::kernels
