#include "kernels/grid_distance/grid_distance.h"

namespace octet::kernels {

std::span<const GridDistanceRow> grid_distance_rows() {
  static constexpr GridDistanceRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/grid_distance/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
