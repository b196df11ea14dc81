// Octet in one file: a tensor, a gradient, a fake quantizer, an integer engine. The README walks through it.
#include <fmt/core.h>

#include "core/random.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "optim/momentum.h"
#include "quant/engine/engine.h"
#include "quant/qat.h"

using namespace octet;

namespace {

// 1. A tensor is contiguous memory with a shape; a Variable is a tensor that knows where it came from.
void gradients() {
  const Variable x(Tensor::from({1, 3}, std::vector<float>{1, -2, 3}), true);
  const Variable w(Tensor::from({2, 3}, std::vector<float>{1, 0, -1, 2, 1, 0}), true);
  const Variable y = ops::linear(ops::relu(x), w, {});
  y.backward(Tensor::full({1, 2}, 1));
  fmt::print("1. relu(x)·wᵀ = ({}, {});  dx = ({}, {}, {}): the second input was cut off, nothing flows back\n",
             y.value().at(0), y.value().at(1), x.grad().at(0), x.grad().at(1), x.grad().at(2));
}

// 2. Eight bits: x → code → x'. In training, the gradient passes the rounding as if it were not there.
void fake_quantization() {
  QuantParams grid;
  grid.scale = {0.1f};
  const Variable x(Tensor::from({4}, std::vector<float>{0.26f, -0.04f, 0.05f, 99.0f}), true);
  const Variable y = ops::fake_quant(x, grid);
  y.backward(Tensor::full({4}, 1));
  fmt::print("2. step 0.1:");
  for (int i = 0; i < 4; ++i)
    fmt::print("  {:.2f} → code {} → {:.2f} (gradient {})", x.value().at(i), grid.quantize(x.value().data<float>()[i]),
               y.value().at(i), x.grad().at(i));
  fmt::print("\n");
}

// Pictures whose class is the brighter half: left or right.
std::pair<Tensor, Tensor> pictures(std::int64_t count, std::uint64_t stream) {
  Tensor images({count, 8, 8, 3}), labels({count}, DType::s32);
  Random random(1, Purpose::test, stream);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(2));
    labels.data<std::int32_t>()[i] = label;
    for (std::int64_t p = 0; p < 8 * 8 * 3; ++p)
      images.data<float>()[i * 192 + p] =
          static_cast<float>(random.uniform(-1, 0.7) + ((p / 3 % 8 >= 4) == (label == 1) ? 0.3 : 0.0));
  }
  return {images, labels};
}

void train(nn::Module& net, int steps, std::uint64_t first) {
  optim::Momentum optimizer(net.named_parameters(), {.lr = 0.05, .momentum = 0.9});
  net.train();
  for (int step = 0; step < steps; ++step) {
    const auto [images, labels] = pictures(64, first + static_cast<std::uint64_t>(step));
    ops::softmax_cross_entropy(net(Variable(images)), labels).backward();
    optimizer.step();
    optimizer.zero_grad();
  }
}

// 3. Train in floats, quantize, fine-tune, convert; 4. the engine runs integers only, and gives the same answers.
void int8() {
  const auto conv = std::make_shared<nn::ConvBnAct>(
      nn::Conv2dOptions{.in_channels = 3, .out_channels = 8, .kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1},
      ops::Activation::relu);
  nn::Sequential net({conv, std::make_shared<nn::Flatten>(), std::make_shared<nn::Linear>(4 * 4 * 8, 2)});
  train(net, 60, 0);
  quant::Qat qat;
  qat.quantize(net, {1, 8, 8, 3});
  train(net, 30, 1000);
  const engine::Engine engine(qat.convert(net));

  const auto [images, labels] = pictures(1000, 5000);
  NoGrad no_grad;
  net.eval();
  const Tensor simulated = net(Variable(images)).value(), run = engine.run(images);
  fmt::print("3. fake-quantized net: {} of 1000 pictures right\n4. integer engine:     {} of 1000 right\n{}",
             ops::count_top_k(simulated, labels, 1), ops::count_top_k(run, labels, 1), engine::str(engine.graph()));
}

}  // namespace

int main() {
  gradients();
  fake_quantization();
  int8();
}
