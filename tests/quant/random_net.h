// Random small nets for the tests that hold executors against each other: residuals, concats, pools, relu and relu6, odd
// channel counts, strides and paddings, negative and zero γ, dead channels. A net follows from its seed.
#pragma once
#include <memory>

#include "nn/layers.h"
#include "quant/config.h"

namespace octet::quant::test {

struct RandomNet {
  std::shared_ptr<nn::Module> model;
  Shape shape;  ///< of a batch of pictures
};

/// Untrained: weights, γ, β and running statistics drawn at random, degenerate ones among them.
RandomNet random_net(std::uint64_t seed);
/// Any valid combination of scheme, types and bits.
QuantConfig random_config(std::uint64_t seed);
/// Pictures in [−1.1, 1.1], many of them exact pixel values.
Tensor random_pictures(const Shape& shape, std::uint64_t seed);
/// prepare(), then two batches in training mode, then evaluation mode with running statistics drawn anew.
void prepare_and_show(const RandomNet& net, const QuantConfig& config, std::uint64_t seed);

}  // namespace octet::quant::test
