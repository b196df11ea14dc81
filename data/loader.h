// Batches of an epoch, made ahead by a thread of its own so that no step waits.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/transform.h"

namespace octet::data {

enum class Augment { none, crop_flip };

struct Batch {
  Tensor images;  ///< f32 n,32,32,3
  Tensor labels;  ///< s32 n
  std::int64_t size() const { return labels.defined() ? labels.numel() : 0; }
};

struct LoaderOptions {
  std::int64_t batch_size = 256;
  bool shuffle = true;
  Augment augment = Augment::none;
  std::uint64_t seed = 1;
  int cutout = 0;  ///< side of the square that hides a part of each picture; 0: none
};

/// Throws Error when batch_size is below 1, cutout is not in [0, 32], the set is empty, or its tensors are not as Dataset has them.
void check_loadable(const Dataset& dataset, const LoaderOptions& options);
/// The pictures of an epoch in their order: shuffled by the numbers of (seed, epoch), or as they come.
std::vector<std::int64_t> epoch_order(std::int64_t pictures, const LoaderOptions& options, std::uint64_t epoch);
/// How a training picture is seen in an epoch, a function of (seed, epoch, picture) alone. Crop-flip: shifted by −4 to 4 pixels
/// on either axis, mirrored with probability 1/2. Cutout: a square whose middle may be any pixel (DeVries and Taylor 2017,
/// section 3.2).
kernels::View view_of(std::int64_t picture, const LoaderOptions& options, std::uint64_t epoch);

/// Every batch is a function of (seed, epoch, index): where one starts does not change what follows. The last batch of an
/// epoch may be smaller.
class Loader {
 public:
  /// Throws Error when check_loadable() does.
  Loader(Dataset dataset, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;

  std::int64_t batches_per_epoch() const;
  const Dataset& dataset() const;
  /// Makes next() begin with batch `first_batch` of `epoch`.
  void start(std::uint64_t epoch, std::int64_t first_batch = 0);
  /// The next batch; false at the epoch's end. What `batch` held is let go, and its memory used again when nobody else has it. Errors of the worker are thrown here, after the batches made before.
  bool next(Batch& batch);
  /// Seconds of processor time that the worker has spent on batches since this loader was made.
  double busy_seconds() const;
  /// Batch `index` of `epoch` at once, without the worker.
  Batch make(std::uint64_t epoch, std::int64_t index) const;

 private:
  struct Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace octet::data
