// Lesson 6: four bits and below, oscillation. docs/course/06-few-bits.md
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "apps/lessons/lesson.h"
#include "apps/lessons/stripes.h"
#include "quant/calibration/ptq.h"
#include "quant/qat.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/training/training_trace.h"

using namespace octet;

namespace {

/// A copy of a trained net with weights of `bits`, whose activations have their ranges from 256 pictures. Nothing is
/// trained.
std::shared_ptr<nn::Sequential> quantized(const nn::Module& trained, int bits) {
  const auto net = lesson::stripes_net();
  net->load_state(trained.state());
  quant::QuantConfig config;
  config.weight_bits = bits;
  quant::Qat(config).quantize(*net, lesson::stripes_shape());
  net->eval();
  const quant::Calibrating calibrating(*net);
  const NoGrad no_grad;
  (*net)(Variable(lesson::stripes(256, 500).images));
  return net;
}

// 1. Right answers by bits: rounded only, and trained on through the rounding.
chart::Svg by_bits(const nn::Module& floats) {
  chart::LineChart chart{.title = "Right answers by the bits of the weights",
                         .x_name = "bits",
                         .y_name = "right",
                         .height = 240,
                         .percent = true};
  chart.series = {{"rounded"}, {"trained on through the rounding"}};
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    const auto net = quantized(floats, bits);
    const double rounded = lesson::share_right(*net);
    lesson::train(*net, {.updates = 150, .rate = 0.05, .first = 1000});
    const double trained = lesson::share_right(*net);
    fmt::print("   weights of {} bits: rounded {:.1f} %, trained on {:.1f} %\n", bits, 100 * rounded, 100 * trained);
    chart.series[0].points.push_back({static_cast<double>(bits), rounded});
    chart.series[1].points.push_back({static_cast<double>(bits), trained});
  }
  return draw(chart);
}

/// Where the weights of a convolution lie on their grids, in steps.
std::vector<float> positions(nn::Conv2d& conv) {
  const quant::FakeQuantizer* quantizer = quant::quantizer_in(conv, "weight_transform");
  const Tensor& weight = conv.weight.value();
  const QuantParams grid = quantizer->params_for(weight).value();
  const std::size_t filters = grid.scale.size(), inner = weight.span<float>().size() / filters;
  std::vector<float> all;
  for (std::size_t i = 0; i < filters * inner; ++i) all.push_back(weight.span<float>()[i] / grid.step(i / inner));
  return all;
}

using History = std::vector<std::vector<float>>;  // positions after every update

int flips(const History& history, std::size_t weight) {
  int count = 0;
  for (std::size_t i = 1; i < history.size(); ++i)
    count += std::rint(history[i][weight]) != std::rint(history[i - 1][weight]);
  return count;
}

void report(const char* when, quant::TrainingTrace& trace, nn::Module& net) {
  fmt::print("   {}: {:.1f} % right\n", when, 100 * lesson::share_right(net));
  for (const quant::LayerTrace& layer : trace.look())
    fmt::print("      {:6} {:.2f} % of the codes flip at an update, {:4.1f} % of the weights oscillate\n", layer.layer,
               100 * layer.flips, 100 * layer.oscillating);
}

// 2. Two bits, a constant rate and then a falling one: which codes flip?
chart::Svg oscillation(const nn::Module& floats) {
  const auto net = quantized(floats, 2);
  auto& conv = *std::dynamic_pointer_cast<nn::ConvBnAct>(net->children()[1].second)->conv;
  quant::TrainingTrace trace(*net, lesson::stripes(64, 501).images);
  History history;
  const auto look = [&] { trace.step(), history.push_back(positions(conv)); };
  lesson::train(*net, {.updates = 200, .rate = 0.05, .last_rate = 0.05, .first = 2000}, look);
  report("after 200 updates at a rate of 0.05", trace, *net);
  lesson::train(*net, {.updates = 200, .rate = 0.05, .first = 2200}, look);
  report("after 200 more, the rate falling to 0", trace, *net);

  std::size_t restless = 0;
  for (std::size_t w = 1; w < history[0].size(); ++w)
    if (flips(history, w) > flips(history, restless)) restless = w;
  fmt::print("   the most restless weight of 1.conv has flipped {} times\n", flips(history, restless));
  chart::LineChart chart{.title = "The most restless weight: constant rate up to update 200, then a falling one",
                         .x_name = "updates",
                         .y_name = "steps",
                         .height = 240};
  chart.series = {{"weight / step"}, {.name = "its code", .stairs = true}};
  for (std::size_t i = 0; i < history.size(); ++i) {
    chart.series[0].points.push_back({static_cast<double>(i), history[i][restless]});
    chart.series[1].points.push_back({static_cast<double>(i), std::rint(history[i][restless])});
  }
  return draw(chart);
}

chart::Svg teach() {
  const auto floats = lesson::stripes_net();
  lesson::train(*floats, {.updates = 300, .rate = 0.1});
  fmt::print("1. floats: {:.1f} % right\n", 100 * lesson::share_right(*floats));
  const chart::Svg top = by_bits(*floats);
  fmt::print("2. weights of two bits\n");
  return chart::stacked("Right answers by bits, and the path of a weight that oscillates", {top, oscillation(*floats)});
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
