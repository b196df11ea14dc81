// Training steps on a device, without the host between them.
#pragma once
#include <cstdint>
#include <map>

#include "core/gpu/gpu.h"
#include "data/resident.h"
#include "nn/module.h"
#include "optim/method.h"
#include "optim/momentum.h"
#include "optim/trainer.h"

namespace octet::optim {

/// The steps of a fit whose model lies on a device. Pictures lie there too, scores are summed there; a step is recorded once for
/// each size of batch, after one that ran as it was made without a copy between host and device, and then launched as a whole. The first
/// steps may copy, as thresholds do that start from what they see; a model whose steps go on copying is never recorded. Either
/// way the bits are the same. While it lives, the optimizer's update quantizes the weights as well.
class DeviceSteps {
 public:
  /// The model, the optimizer and the methods must outlive it.
  DeviceSteps(nn::Module& model, Momentum& optimizer, Method& methods, const data::Dataset& dataset,
              const data::LoaderOptions& options, double label_smoothing);

  ~DeviceSteps() { optimizer_.end_quantizing(); }
  DeviceSteps(const DeviceSteps&) = delete;

  /// Makes run() begin with batch `first_batch` of `epoch`, whose scores are `so_far`.
  void start(std::uint64_t epoch, std::int64_t first_batch, const Scores& so_far);
  /// From now on steps are made otherwise than those recorded so far (Method::begin_epoch).
  void forget_recorded() { sizes_.clear(); }
  /// Begins the step of batch `index`, the next one, with the optimizer's rate; does not wait for it.
  void run(std::int64_t index);

  struct Report {
    Scores scores;                ///< of the epoch so far
    double batch_loss = 0;        ///< of the last batch
    std::int64_t lost_batch = 0;  ///< counted from 1: the first of the epoch whose loss was not finite; 0: none
    double lost_loss = 0;
  };
  /// Waits for the steps begun.
  Report report() const;
  /// Steps that ran as a recorded whole.
  std::int64_t launches() const { return launches_; }

 private:
  /// What is known of the batches of a size.
  struct Size {
    bool stays_there = false;  ///< the last step copied nothing between host and device
    int copying_steps = 0;
    gpu::Graph graph;
  };
  /// Did it copy between host and device?
  bool enqueue(std::int64_t count);
  Variable loss_of(const data::Batch& batch);
  void add_scores(const Variable& logits, const Tensor& labels, const Variable& loss);
  void check_labels(std::int64_t classes);
  bool record(Size& size, std::int64_t count);
  void stay_eager(const std::string& why);

  nn::Module& model_;
  Momentum& optimizer_;
  Method& methods_;
  data::Dataset dataset_;
  data::Resident batches_;
  double label_smoothing_;
  Tensor sums_;  // kernels::ScoreSums
  std::int64_t first_batch_ = 0, checked_classes_ = -1, launches_ = 0;
  bool may_record_ = true;
  std::map<std::int64_t, Size> sizes_;
};

}  // namespace octet::optim
