// Grids that tests of the lessons spell out.
#pragma once
#include "core/quant_params.h"

namespace octet::test {

inline QuantParams grid_of(float step, std::int32_t lo, std::int32_t hi) {
  QuantParams grid;
  grid.scale = {step}, grid.lo = lo, grid.hi = hi;
  return grid;
}

}  // namespace octet::test
