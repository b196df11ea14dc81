// One element of grid_distance.h, for every row.
#pragma once
#include "kernels/fake_quant/element.h"
#include "kernels/grid_distance/grid_distance.h"

namespace octet::kernels {
namespace {

template <class T>
inline OCTET_HD T distance(const Grid& grid, T x, float scale) {
  if (!Position<T>(grid, x, static_cast<T>(scale)).inside()) return 0;
  return x - value_of(grid, code_of(grid, x, scale), scale);
}

}  // namespace
}  // namespace octet::kernels
