#include "optim/adam.h"

#include <cmath>

#include "core/error.h"
#include "kernels/blocks.h"

namespace octet::optim {

Adam::Adam(Variable parameter, const AdamOptions& options) : parameter_(std::move(parameter)), options_(options) {
  const bool rates = options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1;
  OCTET_CHECK(options.lr > 0 && rates && options.epsilon > 0, "Adam",
              "lr {}, beta1 {}, beta2 {} or epsilon {} is out of range", options.lr, options.beta1, options.beta2,
              options.epsilon);
  OCTET_CHECK(parameter_.value().device() == Device::cpu, "Adam", "the parameter lies on a device");
  mean_.resize(static_cast<std::size_t>(parameter_.value().numel()));
  square_.resize(mean_.size());
}

void Adam::step() {
  OCTET_CHECK(parameter_.grad().defined(), "Adam", "the parameter has no gradient");
  decay1_ *= options_.beta1, decay2_ *= options_.beta2;
  float* w = parameter_.value().data<float>();
  const float* gradient = parameter_.grad().data<float>();
  kernels::for_blocks(parameter_.value().numel(), [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const double g = gradient[i];
      mean_[i] = options_.beta1 * mean_[i] + (1 - options_.beta1) * g;
      square_[i] = options_.beta2 * square_[i] + (1 - options_.beta2) * g * g;
      const double mean = mean_[i] / (1 - decay1_), square = square_[i] / (1 - decay2_);
      w[i] = static_cast<float>(w[i] - options_.lr * mean / (std::sqrt(square) + options_.epsilon));
    }
  });
  parameter_.zero_grad();
}

}  // namespace octet::optim
