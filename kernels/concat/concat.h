// Rows of a part inside the wider rows of a whole, element for element, in f32 and f64: what joins channels, and takes
// them apart.
//   concat_put:  whole[i·width + at + j] = part[i·part_width + j]      i of rows, j of part_width
//   concat_take: part[i·part_width + j] = whole[i·width + at + j]
#pragma once
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct ConcatProblem {
  std::int64_t rows = 1, width = 1, part_width = 1, at = 0;
  std::string str() const;
};
struct ConcatPointers {
  const void* from = nullptr;  ///< part (put), whole (take)
  void* to = nullptr;          ///< whole (put), part (take)
};
using ConcatRow = Row<ConcatProblem, ConcatPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(ConcatProblem, ConcatPointers, __VA_ARGS__)
#include "kernels/concat/kernels.inc"
#undef KERNEL

/// Passes: concat_put, concat_take.
std::span<const ConcatRow> concat_rows();

}  // namespace octet::kernels
