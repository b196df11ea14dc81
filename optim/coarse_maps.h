// Small maps first: the early epochs of a training, which learn what small maps show as well, cost a part of the late ones.
#pragma once
#include <cstdint>

#include "nn/layers.h"
#include "optim/method.h"

namespace octet::optim {

/// Progressive resolution (Karras et al. 2018 grow pictures, Tan and Le 2021, "EfficientNetV2", section 4, too; here the
/// picture stays and what is made of it is small): during the first `epochs` epochs of a fit, `reduction` has twice its
/// stride, so that every map behind it has a quarter of its places. Behind the fit it is as it was. Batch norms' running
/// statistics follow the maps of the last epochs: leave some.
class CoarseMaps : public Method {
 public:
  /// The convolution must outlive it. Throws Error for less than one epoch.
  CoarseMaps(nn::Conv2d& reduction, std::int64_t epochs);
  bool begin_epoch(std::int64_t epoch) override;
  void end_fit() override { reduction_.set_stride(stride_); }

 private:
  nn::Conv2d& reduction_;
  std::int64_t stride_, epochs_;
};

}  // namespace octet::optim
