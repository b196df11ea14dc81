// Lesson 2: a convolution in integers, batch norm folded. docs/course/02-integer-convolution.md
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "apps/lessons/lesson.h"
#include "core/error.h"
#include "nn/layers.h"
#include "quant/deployment/float_graph.h"
#include "quant/engine/engine.h"
#include "quant/qat.h"

using namespace octet;

namespace {

constexpr std::int64_t kSide = 8, kIn = 3, kOut = 4, kTaps = 3 * 3 * kIn;  // 8x8x3 → 8x8x4, window 3x3, padding 1

/// Convolution, batch norm, ReLU; behind it only what a net needs to have an answer.
struct Net {
  std::shared_ptr<nn::ConvBnAct> block = std::make_shared<nn::ConvBnAct>(
      nn::Conv2dOptions{.in_channels = kIn, .out_channels = kOut, .kernel_h = 3, .kernel_w = 3, .padding = 1},
      ops::Activation::relu);
  nn::Sequential all{{block, std::make_shared<nn::GlobalAvgPool>(), std::make_shared<nn::Flatten>(),
                      std::make_shared<nn::Linear>(kOut, 2)}};
};

Tensor pictures(std::int64_t count, std::uint64_t stream) {
  std::vector<float> values = lesson::normals(static_cast<std::size_t>(count * kSide * kSide * kIn), 0.4, stream);
  for (float& x : values) x = std::clamp(x, -1.0f, 1.0f);
  return Tensor::from({count, kSide, kSide, kIn}, values);
}

/// Lets batch norm and observers see data, as training would; channels get factors γ that differ much.
void show_data(Net& net) {
  net.block->bn->gamma.value().copy_from(Tensor::from({kOut}, std::vector<float>{1.5f, 0.6f, 0.05f, -0.8f}));
  net.block->bn->beta.value().copy_from(Tensor::from({kOut}, std::vector<float>{0.3f, 0.1f, 0.02f, 0.2f}));
  net.all.train();
  for (std::uint64_t batch = 0; batch < 20; ++batch) net.all(Variable(pictures(16, batch)));
  net.all.eval();
}

/// A layer in integers.
struct Layer {
  std::vector<std::int32_t> weight, bias;  // q_w: K,R,S,C; q_b: K
  std::vector<float> step, multiplier;     // s'_w and M: K
};

/// From weights, batch norm and the steps of input and output to integers: the formulas of the lesson.
Layer fold(nn::ConvBnAct& block, float s_x, float s_y) {
  Layer layer;
  const Tensor affine = block.bn->affine({}).value();  // {2, K}: scale γ/√(σ² + ε), shift β − μ·scale
  for (std::int64_t k = 0; k < kOut; ++k) {
    const float scale = affine.data<float>()[k], shift = affine.data<float>()[kOut + k];
    const auto w = block.conv->weight.value().span<float>().subspan(static_cast<std::size_t>(k * kTaps), kTaps);
    float largest = 0;
    for (const float x : w) largest = std::max(largest, std::fabs(x));
    const float s_w = largest / 127, folded = s_w * std::fabs(scale);
    for (const float x : w) layer.weight.push_back(qmath::quantize(x, s_w, 0, -127, 127) * (scale < 0 ? -1 : 1));
    const double sum_step = static_cast<double>(s_x) * static_cast<double>(folded);
    layer.bias.push_back(static_cast<std::int32_t>(std::rint(static_cast<double>(shift) / sum_step)));
    layer.step.push_back(folded);
    layer.multiplier.push_back(s_x * folded / s_y);
    fmt::print("   channel {}: scale {:6.3f}, s_w {:.5f}, s'_w {:.6f}, shift {:6.3f} → q_b {:5}, M {:.6f}\n", k, scale,
               s_w, folded, shift, layer.bias.back(), layer.multiplier.back());
  }
  return layer;
}

/// a = Σ q_x·q_w + q_b at row p, column q, channel k; what lies outside the picture is 0 and adds nothing.
std::int32_t sum(const Layer& layer, const std::int8_t* q_x, std::int64_t p, std::int64_t q, std::int64_t k) {
  std::int32_t a = layer.bias[static_cast<std::size_t>(k)];
  for (std::int64_t r = 0; r < 3; ++r)
    for (std::int64_t s = 0; s < 3; ++s) {
      const std::int64_t y = p + r - 1, x = q + s - 1;
      if (y < 0 || y >= kSide || x < 0 || x >= kSide) continue;
      for (std::int64_t c = 0; c < kIn; ++c)
        a += q_x[(y * kSide + x) * kIn + c] * layer.weight[static_cast<std::size_t>(k * kTaps + (r * 3 + s) * kIn + c)];
    }
  return a;
}

/// What the block gives in floats, nothing rounded.
Tensor exact(Net& net, const Tensor& picture) {
  const NoGrad no_grad;
  const nn::TransformBypass bypass;
  return (*net.block)(Variable(picture)).value();
}

/// Share of a channel's weights, root mean square, that its error is.
double error_share(std::span<const float> exact, std::span<const float> rounded) {
  return lesson::rms_error(exact, rounded) / lesson::rms_error(exact, std::vector<float>(exact.size(), 0));
}

// The picture: two ways to bring batch norm into the weights.
chart::Svg picture(const Tensor& folded, const Layer& layer) {
  chart::BarChart bars{
      .title = "Error of the folded weights, as a share of the channel's weights",
      .value_name = "per cent",
      .groups = {"multiply the weights, then one step for all", "codes of the raw weights, a step per channel"}};
  float largest = 0;
  for (const float w : folded.span<float>()) largest = std::max(largest, std::fabs(w));
  for (std::size_t k = 0; k < kOut; ++k) {
    const auto exact = folded.span<float>().subspan(k * kTaps, kTaps);
    std::vector<float> one_step, own_step;
    for (std::size_t i = 0; i < kTaps; ++i) {
      one_step.push_back(qmath::dequantize(qmath::quantize(exact[i], largest / 127, 0, -127, 127), largest / 127, 0));
      own_step.push_back(qmath::dequantize(layer.weight[k * kTaps + i], layer.step[k], 0));
    }
    bars.bars.push_back({fmt::format("channel {}", k), 100 * error_share(exact, one_step), "", 0});
    bars.bars.push_back({"", 100 * error_share(exact, own_step), "", 1});
  }
  return draw(bars);
}

chart::Svg teach() {
  Net net;
  quant::Qat qat;
  qat.quantize(net.all, {1, kSide, kSide, kIn});
  show_data(net);
  const engine::Engine engine(qat.convert(net.all));
  NamedTensors values;
  const Tensor one = pictures(1, 1000);
  engine.run(one, &values);
  const Tensor q_x = values[1].second, q_y = values[2].second;  // 1: the picture's codes, 2: the block's
  const QuantParams x_grid = engine.graph().nodes[1].type.grid, y_grid = engine.graph().nodes[2].type.grid;

  fmt::print("1. fold: input step {:.6f}, output step {:.6f}\n", x_grid.step(), y_grid.step());
  const Layer layer = fold(*net.block, x_grid.step(), y_grid.step());

  const Tensor floats = exact(net, one);
  fmt::print("2. the four sums of pixel (3, 3)\n");
  std::int64_t differing = 0;
  for (std::int64_t i = 0; i < q_y.numel(); ++i) {
    const std::int64_t k = i % kOut, q = i / kOut % kSide, p = i / kOut / kSide;
    const std::int32_t a = sum(layer, q_x.data<std::int8_t>(), p, q, k);
    const float m = layer.multiplier[static_cast<std::size_t>(k)];
    const std::int32_t code = qmath::requantize(a, m, 0, 0, 255);
    if (p == 3 && q == 3)
      fmt::print("   channel {}: a = {:6}, a·M = {:7.3f} → code {:3} → {:.4f}; floats give {:.4f}\n", k, a,
                 static_cast<float>(a) * m, code, y_grid.dequantize(code), floats.at(i));
    differing += code != q_y.data<std::uint8_t>()[i];
  }
  fmt::print("3. {} codes by hand and by the engine: {} differ\n", q_y.numel(), differing);
  return picture(quant::float_graph(net.all, {1, kSide, kSide, kIn}).nodes[1].weight, layer);
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
