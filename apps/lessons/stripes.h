// A task for lessons that train a net: which way do the stripes of a picture go?
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "core/shape.h"
#include "nn/layers.h"

namespace octet::lesson {

/// Pictures N,8,8,1 in [−1, 1] with noise, and their labels: 0 lying, 1 rising, 2 standing, 3 falling stripes.
struct Stripes {
  Tensor images, labels;
};
Stripes stripes(std::int64_t count, std::uint64_t stream);
Shape stripes_shape();

/// Two blocks of convolution, batch norm and ReLU, an average pool, a linear layer: 732 weights.
std::shared_ptr<nn::Sequential> stripes_net();

/// Momentum with a rate that falls from `rate` to `last_rate`; batch i has stream first + i. Calls `after` behind every
/// update.
struct Training {
  int updates = 100;
  double rate = 0.05, last_rate = 0;
  std::uint64_t first = 0;
};
void train(nn::Module& net, const Training& training, const std::function<void()>& after = {});

/// Of 1000 test pictures. `predict`: pictures → logits.
double share_right(const std::function<Tensor(const Tensor&)>& predict);
/// In evaluation mode.
double share_right(nn::Module& net);

}  // namespace octet::lesson
