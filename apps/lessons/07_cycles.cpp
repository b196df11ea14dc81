// Lesson 7: from codes to cycles: VNNI and the roofline. docs/course/07-cycles.md
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "apps/lessons/lesson.h"
#include "core/error.h"
#include "core/random.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "nn/models.h"
#include "ops/ops.h"
#include "quant/deployment/float_graph.h"

using namespace octet;

namespace {

// 1. One lane of vpdpbusd: four products of an unsigned and a signed code, added to a sum of 32 bits.
std::int32_t dot4(std::int32_t sum, const std::uint8_t* x, const std::int8_t* w) {
  for (int i = 0; i < 4; ++i) sum += x[i] * w[i];
  return sum;
}

/// The same with vpmaddubsw, which processors without VNNI have: pairs are added in 16 bits and saturate.
std::int32_t dot4_by_pairs(std::int32_t sum, const std::uint8_t* x, const std::int8_t* w) {
  for (int i = 0; i < 4; i += 2) sum += std::clamp(x[i] * w[i] + x[i + 1] * w[i + 1], -32768, 32767);
  return sum;
}

/// A sum of 256 products, by either instruction and by Octet's kernel: a 1x1 convolution with one output.
void instructions() {
  Random random(1, Purpose::test, 70);
  std::vector<std::uint8_t> x(256);
  std::vector<std::int8_t> w(256);
  for (auto& code : x) code = static_cast<std::uint8_t>(random.below(256));
  for (auto& code : w) code = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
  kernels::IntConvProblem problem;
  problem.geometry = {.c = 256}, problem.store.dst = DType::f32;
  const float one = 1;
  float kernel = 0;
  kernels::plan_conv2d_int8(problem, {.weight = w.data(), .multiplier = &one}).run(x.data(), &kernel);
  std::int32_t exact = 0, pairs = 0;
  for (std::size_t i = 0; i < 256; i += 4)
    exact = dot4(exact, &x[i], &w[i]), pairs = dot4_by_pairs(pairs, &x[i], &w[i]);
  fmt::print("1. 256 products: vpdpbusd {}, Octet's kernel {}, vpmaddubsw {}\n", exact, kernel, pairs);
}

/// What a layer asks of a processor.
struct Work {
  std::string name;
  double operations, values;  // multiplications and additions; numbers read and written once each
};

std::vector<Work> layers_of(const engine::Graph& graph, std::int64_t pictures) {
  std::vector<Work> all;
  for (const engine::GraphNode& node : graph.nodes) {
    if (!engine::is_layer(node.op)) continue;
    kernels::ConvGeometry g = node.geometry;
    g.n = pictures;
    const auto inputs = g.n * g.h * g.w * g.c, outputs = g.out_pixels() * g.k, weights = node.weight.numel();
    all.push_back({node.name, 2.0 * static_cast<double>(g.out_pixels() * weights),
                   static_cast<double>(inputs + outputs + weights)});
  }
  return all;
}

/// One core with two 512-bit units, as textbooks have it; a cache line from memory every eight cycles.
struct Machine {
  const char* name;
  double operations_a_cycle, bytes_a_value;
  static constexpr double kBytesACycle = 8;

  double intensity(const Work& work) const { return work.operations / (work.values * bytes_a_value); }
  /// The roofline: operations a cycle, by intensity.
  double attainable(double intensity) const { return std::min(operations_a_cycle, kBytesACycle * intensity); }
};
// A lane of 32 bits does one multiply-add of floats, or four of codes: 2 units · 16 lanes · 2 operations, times 4 for
// codes.
constexpr Machine kFloats{"fp32", 64, 4}, kCodes{"int8", 256, 1};

// 2. MobileNetV1 under both roofs.
chart::Svg roofline(const std::vector<Work>& layers) {
  chart::LineChart chart{.title = "MobileNetV1, 16 pictures: a point for each layer, under the roof of its numbers",
                         .x_name = "operations a byte",
                         .y_name = "operations a cycle",
                         .height = 380,
                         .logarithmic = true};
  for (const Machine& machine : {kFloats, kCodes}) {
    chart::Series roof{fmt::format("{} roof", machine.name)}, points{.name = machine.name, .dots = true};
    double cycles = 0, operations = 0;
    std::size_t on_memory = 0;
    for (const Work& work : layers) {
      const double at = machine.intensity(work), reached = machine.attainable(at);
      points.points.push_back({at, reached});
      cycles += work.operations / reached, operations += work.operations;
      on_memory += reached < machine.operations_a_cycle;
    }
    for (const double at : {0.5, machine.operations_a_cycle / Machine::kBytesACycle, 256.0})
      roof.points.push_back({at, machine.attainable(at)});
    fmt::print("   {}: {:.2f} G operations in {:.2f} M cycles, {:.1f} a cycle of {}; {} of {} layers wait for memory\n",
               machine.name, operations * 1e-9, cycles * 1e-6, operations / cycles, machine.operations_a_cycle,
               on_memory, layers.size());
    chart.series.push_back(roof), chart.series.push_back(points);
  }
  return draw(chart);
}

/// Least time of several calls, in microseconds.
template <class Call>
double microseconds(Call call) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 7; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call();
    least =
        std::min(least, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  return least;
}

// 3. The same layer both ways, on this machine. Times differ from run to run, so no page quotes them.
void measure() {
  const kernels::ConvGeometry geometry{.n = 4, .h = 16, .w = 16, .c = 128, .k = 128};
  const NoGrad no_grad;
  const Variable x(Tensor::zeros({4, 16, 16, 128})), w(Tensor::zeros({128, 1, 1, 128}));
  const double floats = microseconds([&] { ops::conv2d(x, w, {}); });
  kernels::IntConvProblem problem;
  problem.geometry = geometry;
  const std::vector<float> multiplier(128, 0.01f);
  const Tensor codes = Tensor::zeros({128, 1, 1, 128}, DType::s8), src = Tensor::zeros(x.shape(), DType::u8);
  Tensor dst(x.shape(), DType::u8);
  const auto plan =
      kernels::plan_conv2d_int8(problem, {.weight = codes.data<std::int8_t>(), .multiplier = multiplier.data()});
  const double integers = microseconds([&] { plan.run(src.raw(), dst.raw()); });
  fmt::print("3. measured here, {}: fp32 {:.0f} µs, int8 ({}) {:.0f} µs\n", geometry.str(), floats, plan.impl(),
             integers);
}

chart::Svg teach() {
  instructions();
  const auto net = nn::mobilenet_v1();
  fmt::print("2. MobileNetV1, 16 pictures, {} bytes a cycle from memory\n", Machine::kBytesACycle);
  const chart::Svg picture = roofline(layers_of(quant::float_graph(*net, {1, 32, 32, 3}), 16));
  measure();
  return picture;
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
