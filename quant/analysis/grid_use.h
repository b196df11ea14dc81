// How well a grid fits the values that are rounded to it.
#pragma once
#include <cstdint>
#include <vector>

#include "core/quant_params.h"
#include "core/tensor.h"

namespace octet::quant {

/// Values in units of their grid's codes: x / step + zero point. A bin a code (bins_per_code of them for few bits) and
/// the values beyond the grid in as many again on either side.
struct GridUse {
  QuantParams grid;
  std::int64_t values = 0;
  double clipped = 0;  ///< share of values more than half a step beyond the last code
  double zeros = 0;    ///< share that becomes the code of zero
  int codes = 0,
      unused = 0;      ///< of the grid (a weight grid's are counted over all channels); those that no value takes
  double sqnr_db = 0;  ///< 10·log10(Σ x² / Σ (x − x_q)²); +inf when every value is on the grid
  double first_bin = 0, bin_width = 1;  ///< histogram, in codes
  std::vector<double> histogram;
};

/// `values` f32; `grid` with one scale or one per entry of axis 0. Throws Error when there are no values or one is not
/// finite.
GridUse use_of_grid(const Tensor& values, const QuantParams& grid);

/// 10·log10(Σ a² / Σ (a − b)²) of two f32 tensors of as many elements; +inf when they are equal, −inf when a is zero
/// everywhere.
double sqnr_db(const Tensor& signal, const Tensor& noisy);

}  // namespace octet::quant
