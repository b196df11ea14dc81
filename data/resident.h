// A data set that lies whole on a device and yields the batches of a Loader there.
#pragma once
#include <cstdint>

#include "data/loader.h"

namespace octet::data {

/// Pictures (as bytes) and labels go to the device once; an epoch's order and how its pictures are shown at the epoch's start.
/// A batch is then made on the device from where the device stands, so that a recorded step (core/gpu/gpu.h) may hold it.
/// Values have the bits of Loader's.
class Resident {
 public:
  /// Throws Error when check_loadable() does, or the device has too little memory.
  Resident(const Dataset& dataset, const LoaderOptions& options, Device device = Device::cuda);

  std::int64_t batches_per_epoch() const { return (pictures_ - 1) / options_.batch_size + 1; }
  /// Pictures of batch `index` of any epoch: the last batch may be smaller.
  std::int64_t count_of(std::int64_t index) const;
  /// Makes next() begin with batch `first_batch` of `epoch`.
  void start(std::uint64_t epoch, std::int64_t first_batch = 0);
  /// Makes the batch where the device stands, of `count` pictures (count_of()), and moves on; past the epoch's end is an error of
  /// the caller. It lies in the memory of the batch before.
  Batch next(std::int64_t count);

 private:
  LoaderOptions options_;
  std::int64_t pictures_;
  Tensor bytes_, labels_;            // of the set
  Tensor order_, views_, position_;  // of the epoch; views_ undefined without augmentation
  Batch batch_;                      // memory for a whole one
};

}  // namespace octet::data
