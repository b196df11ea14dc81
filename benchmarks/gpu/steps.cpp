#include "benchmarks/gpu/steps.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "core/gpu/gpu.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "nn/models.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "quant/qat.h"

namespace octet::bench {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr int kSteps = 30;

class Side {
 public:
  Side(const DeviceSettings& settings, bool quantized) {
    nn::MobileNetV1Options options;
    options.seed = kSeed;
    if (settings.quick) options.scale = 0.25;
    const nn::DeviceScope there(Device::cuda);
    net_ = nn::mobilenet_v1(options);
    if (quantized) quant::Qat().quantize(*net_);
    net_->train();
    const data::Dataset set = data::synthetic_shapes(kSeed, settings.batch, 10).train;
    images_ = data::normalise(set.pictures).to(Device::cuda);
    labels_ = set.labels.to(Device::cuda);
    // A rate small enough for any number of steps.
    optimizer_.emplace(net_->named_parameters(), optim::MomentumOptions{0.01, 0.9, 0, false});
  }

  /// Reads nothing back: all of it can be recorded.
  Tensor step() {
    const Variable loss = ops::softmax_cross_entropy((*net_)(Variable(images_)), labels_);
    loss.backward();
    optimizer_->step();
    optimizer_->zero_grad();
    return loss.value();
  }

 private:
  std::shared_ptr<nn::Module> net_;
  Tensor images_, labels_;
  std::optional<optim::Momentum> optimizer_;
};

template <class Work>
Quartiles timed(int steps, Work work) {
  std::vector<double> seconds;
  for (int i = 0; i < steps; ++i) {
    gpu::synchronize();
    const auto start = std::chrono::steady_clock::now();
    work();
    gpu::synchronize();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return quartiles_of(seconds);
}

void require_finite(double loss) { OCTET_CHECK(std::isfinite(loss), "octet_gpu", "the loss became {}", loss); }

DeviceStep measured(const char* name, const char* what, const std::function<void(DeviceStep&)>& measure) {
  DeviceStep line;
  line.side = name, line.what = what;
  try {
    measure(line);
  } catch (const std::exception& error) {
    line.error = error.what();
  }
  return line;
}

void launched(const DeviceSettings& settings, bool quantized, DeviceStep& line) {
  Side side(settings, quantized);
  line.loss = side.step().item();
  double loss = 0;
  if (!settings.quick) side.step();
  line.seconds = timed(settings.quick ? 1 : kSteps, [&] { loss = side.step().item(); });
  require_finite(loss);
}

/// Products of bf16 while one lives.
struct Bf16 {
  Bf16() { ops::set_precision(ops::Precision::bf16, Device::cuda); }
  ~Bf16() { ops::set_precision(ops::Precision::f32); }
};

void recorded(const DeviceSettings& settings, bool quantized, DeviceStep& line) {
  Side side(settings, quantized);
  line.loss = side.step().item();
  side.step();  // from now on memory comes from what was given back
  Tensor loss;
  const gpu::Graph graph = gpu::Graph::record([&] { loss = side.step(); });
  graph.launch();
  line.seconds = timed(settings.quick ? 1 : kSteps, [&] { graph.launch(); });
  require_finite(loss.item());
}

}  // namespace

std::vector<DeviceStep> measure_device_steps(const DeviceSettings& settings) {
  return {
      measured("fp32", "launched one by one, loss read", [&](DeviceStep& line) { launched(settings, false, line); }),
      measured("fp32-graph", "recorded once as a graph", [&](DeviceStep& line) { recorded(settings, false, line); }),
      measured("bf16-graph", "products of bf16, recorded once as a graph",
               [&](DeviceStep& line) {
                 const Bf16 products;
                 recorded(settings, false, line);
               }),
      measured("qat", "scheme octet, launched one by one, loss read",
               [&](DeviceStep& line) { launched(settings, true, line); }),
      measured("qat-graph", "scheme octet, recorded once as a graph",
               [&](DeviceStep& line) { recorded(settings, true, line); })};
}

}  // namespace octet::bench
