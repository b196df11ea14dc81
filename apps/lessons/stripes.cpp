#include "apps/lessons/stripes.h"

#include <algorithm>

#include "core/portable_math.h"
#include "core/random.h"
#include "ops/ops.h"
#include "optim/momentum.h"

namespace octet::lesson {
namespace {

constexpr std::int64_t kSide = 8, kBatch = 32, kTest = 1000;
constexpr std::uint64_t kTestStream = 1000000;

}  // namespace

Shape stripes_shape() { return {1, kSide, kSide, 1}; }

Stripes stripes(std::int64_t count, std::uint64_t stream) {
  // The way of the stripes as steps (across, down) from one to the next.
  constexpr double kAcross[] = {0, 0.7, 1, 0.7}, kDown[] = {1, 0.7, 0, -0.7};
  Stripes made{Tensor({count, kSide, kSide, 1}), Tensor({count}, DType::s32)};
  Random random(1, Purpose::test, stream);
  float* pixel = made.images.data<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = random.below(4);
    made.labels.data<std::int32_t>()[i] = static_cast<std::int32_t>(label);
    const double phase = random.uniform(0, 6.28), pitch = random.uniform(1.2, 2.2), contrast = random.uniform(0.2, 0.6);
    for (std::int64_t y = 0; y < kSide; ++y)
      for (std::int64_t x = 0; x < kSide; ++x) {
        const double along = kAcross[label] * static_cast<double>(x) + kDown[label] * static_cast<double>(y);
        const double value = contrast * portable::cos(pitch * along + phase) + 0.35 * random.normal();
        *pixel++ = static_cast<float>(std::clamp(value, -1.0, 1.0));
      }
  }
  return made;
}

std::shared_ptr<nn::Sequential> stripes_net() {
  const auto block = [](std::int64_t in, std::int64_t stride) {
    const nn::Conv2dOptions options{
        .in_channels = in, .out_channels = 8, .kernel_h = 3, .kernel_w = 3, .stride = stride, .padding = 1};
    return std::make_shared<nn::ConvBnAct>(options, ops::Activation::relu);
  };
  return std::make_shared<nn::Sequential>(
      std::vector<std::shared_ptr<nn::Module>>{block(1, 1), block(8, 2), std::make_shared<nn::GlobalAvgPool>(),
                                               std::make_shared<nn::Flatten>(), std::make_shared<nn::Linear>(8, 4)});
}

void train(nn::Module& net, const Training& training, const std::function<void()>& after) {
  optim::Momentum descent(net.named_parameters(), {.lr = training.rate, .momentum = 0.9});
  net.train();
  for (int update = 0; update < training.updates; ++update) {
    const double done = static_cast<double>(update) / training.updates;
    descent.set_lr(training.rate + (training.last_rate - training.rate) * done);
    const Stripes batch = stripes(kBatch, training.first + static_cast<std::uint64_t>(update));
    ops::softmax_cross_entropy(net(Variable(batch.images)), batch.labels).backward();
    descent.step();
    descent.zero_grad();
    if (after) after();
  }
}

double share_right(const std::function<Tensor(const Tensor&)>& predict) {
  const Stripes test = stripes(kTest, kTestStream);
  return static_cast<double>(ops::count_top_k(predict(test.images), test.labels, 1)) / kTest;
}

double share_right(nn::Module& net) {
  const NoGrad no_grad;
  net.eval();
  return share_right([&](const Tensor& images) { return net(Variable(images)).value(); });
}

}  // namespace octet::lesson
