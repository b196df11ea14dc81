// The pictures that methods without training look at.
#pragma once
#include <cstdint>
#include <functional>

#include "data/dataset.h"

namespace octet::quant {

struct CalibrateOptions {
  std::int64_t pictures = 512;   ///< drawn from the set without repetition; all of a smaller set
  std::int64_t batch_size = 64;  ///< a moving average counts batches, so this weighs
  std::uint64_t seed = 1;        ///< of the draw
};

/// f(pictures f32 N,H,W,C, how many have been shown with them, of how many) for each batch: the same pictures at every
/// call. Throws Error when options or the set are empty.
void for_calibration_batches(const data::Dataset& dataset, const CalibrateOptions& options,
                             const std::function<void(const Tensor& images, std::int64_t done, std::int64_t total)>& f);

}  // namespace octet::quant
