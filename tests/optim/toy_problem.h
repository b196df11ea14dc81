// A problem that a tiny net learns in a few steps: bright against dark pictures, and stripes either way.
#pragma once
#include <memory>

#include "core/random.h"
#include "data/dataset.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "optim/trainer.h"

namespace octet::test {

inline data::Dataset toy_pictures(std::int64_t count, std::uint64_t seed) {
  data::Dataset set{
      "toy", Tensor({count, 32, 32, 3}, DType::u8), Tensor({count}, DType::s32), {"dark", "bright", "rows", "columns"}};
  std::uint8_t* pixel = set.pictures.data<std::uint8_t>();
  for (std::int64_t p = 0; p < count; ++p) {
    Random random(seed, Purpose::test, static_cast<std::uint64_t>(p));
    const auto kind = static_cast<int>(random.below(4));
    set.labels.data<std::int32_t>()[p] = kind;
    for (std::int64_t i = 0; i < 1024; ++i)
      for (std::int64_t c = 0; c < 3; ++c) {
        const bool lit = kind == 1 || (kind == 2 && i / 32 % 2 == 0) || (kind == 3 && i % 2 == 0);
        *pixel++ = static_cast<std::uint8_t>((lit ? 150 : 40) + random.below(60));
      }
  }
  return set;
}

inline optim::FitOptions toy_options(std::int64_t epochs = 2) {
  optim::FitOptions options;
  options.epochs = epochs;
  options.loader = {.batch_size = 16, .augment = data::Augment::crop_flip, .seed = 3};
  return options;
}

/// 3 batches of toy_options(), the last one of 6 pictures.
inline const data::Dataset& three_toy_batches() {
  static const data::Dataset set = toy_pictures(38, 1);
  return set;
}

/// Conv, depthwise conv, dropout, linear: every kind of state that a fit has.
inline std::shared_ptr<nn::Module> toy_net(std::uint64_t seed = 1) {
  auto net = std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<nn::Module>>{
      std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{3, 8, 3, 3, 4, 1, false, false}, ops::Activation::relu),
      std::make_shared<nn::ConvBnAct>(nn::Conv2dOptions{8, 8, 3, 3, 1, 1, false, true}, ops::Activation::relu),
      std::make_shared<nn::GlobalAvgPool>(), std::make_shared<nn::Flatten>(), std::make_shared<nn::Dropout>(0.1, 5),
      std::make_shared<nn::Linear>(8, 4)});
  nn::initialise(*net, nn::Init::he, seed);
  return net;
}

}  // namespace octet::test
