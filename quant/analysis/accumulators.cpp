#include "quant/analysis/accumulators.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "ops/ops.h"
#include "quant/engine/engine.h"

namespace octet::quant {
namespace {

using engine::GraphNode;
constexpr std::int64_t kBatch = 32;
constexpr int kNarrow = 16;

bool is_integer_layer(const GraphNode& node) { return engine::is_layer(node.op) && !engine::is_float_layer(node); }

const GraphNode& source_of(const engine::Graph& graph, const GraphNode& node) {
  return graph.nodes[static_cast<std::size_t>(node.inputs.at(0))];
}

/// With what the layer can be given at the worst.
AccumulatorUse bounds_of_layer(const GraphNode& node, const GraphNode& src) {
  const std::int64_t zero = src.type.grid.zero_point;
  AccumulatorUse use{.layer = node.name};
  for (std::int64_t k = 0; k < node.weight.shape()[0]; ++k) {
    const auto [least, greatest] = engine::accumulator_range(node, src.clamp_lo - zero, src.clamp_hi - zero, k);
    // Codes include that of zero, so that partial products lie between these too: with the bias first, or last.
    const std::int64_t bias = node.bias.empty() ? 0 : node.bias[static_cast<std::size_t>(k)];
    use.least = std::min({use.least, least, least - bias});
    use.greatest = std::max({use.greatest, greatest, greatest - bias});
  }
  return use;
}

Tensor as_floats(const Tensor& codes, std::int64_t zero) {
  Tensor floats = codes.to(DType::f32);
  for (float& x : floats.span<float>()) x -= static_cast<float>(zero);
  return floats;
}

/// What the layer sums up for these codes, in floats.
Tensor sums_of(const GraphNode& node, const GraphNode& src, const Tensor& codes) {
  const kernels::ConvGeometry& g = node.geometry;
  const Variable x(as_floats(codes, src.type.grid.zero_point).reshape({codes.shape()[0], g.h, g.w, g.c}));
  const Variable weight(node.weight.to(DType::f32));
  const ops::Conv2dArgs args{g.stride_h, g.stride_w, g.pad_h, g.pad_w};
  Variable bias;
  if (!node.bias.empty())
    bias = Variable(Tensor::from(Shape{g.k}, std::vector<float>(node.bias.begin(), node.bias.end())));
  const bool depthwise = node.op == engine::OpKind::dwconv2d;
  return (depthwise ? ops::dwconv2d(x, weight, bias, args) : ops::conv2d(x, weight, bias, args)).value();
}

void watch(const Tensor& sums, bool first, AccumulatorUse& use) {
  const auto [least, greatest] = std::minmax_element(sums.data<float>(), sums.data<float>() + sums.numel());
  const std::int64_t low = std::llround(*least), high = std::llround(*greatest);
  use.seen_least = first ? low : std::min(use.seen_least, low);
  use.seen_greatest = first ? high : std::max(use.seen_greatest, high);
}

const Tensor& named(const NamedTensors& values, const std::string& name) {
  const auto at = std::find_if(values.begin(), values.end(), [&](const auto& value) { return value.first == name; });
  OCTET_CHECK(at != values.end(), "accumulators", "the engine has no value '{}'", name);
  return at->second;
}

}  // namespace

int bits_for(std::int64_t least, std::int64_t greatest) {
  const auto size = [](std::int64_t x) { return std::bit_width(static_cast<std::uint64_t>(x < 0 ? ~x : x)); };
  return 1 + std::max(size(least), size(greatest));
}

int AccumulatorUse::bits() const { return bits_for(least, greatest); }
int AccumulatorUse::seen_bits() const { return bits_for(seen_least, seen_greatest); }

std::vector<AccumulatorUse> accumulator_use(const engine::Graph& graph, const Tensor& pictures) {
  const NoGrad no_grad;
  std::vector<AccumulatorUse> layers;
  for (const GraphNode& node : graph.nodes)
    if (is_integer_layer(node)) layers.push_back(bounds_of_layer(node, source_of(graph, node)));
  const engine::Engine engine(graph);
  for (std::int64_t begin = 0; begin < pictures.shape()[0]; begin += kBatch) {
    NamedTensors values;
    engine.run(pictures.slice(begin, std::min(pictures.shape()[0], begin + kBatch)), &values);
    auto use = layers.begin();
    for (const GraphNode& node : graph.nodes) {
      if (!is_integer_layer(node)) continue;
      const GraphNode& src = source_of(graph, node);
      watch(sums_of(node, src, named(values, src.name)), begin == 0, *use++);
    }
  }
  return layers;
}

std::string sixteen_bits(const std::vector<AccumulatorUse>& layers) {
  const std::size_t count = layers.size();
  const auto beyond = [&](auto bits) {
    return std::count_if(layers.begin(), layers.end(),
                         [&](const AccumulatorUse& use) { return (use.*bits)() > kNarrow; });
  };
  const auto may = beyond(&AccumulatorUse::bits), did = beyond(&AccumulatorUse::seen_bits);
  if (may == 0)
    return fmt::format("Accumulators of 16 bits would do: no sum of any of the {} layers can leave them.", count);
  if (did == 0)
    return fmt::format(
        "Accumulators of 16 bits hold every sum that was seen here; in {} of {} layers they could overflow.", may,
        count);
  const auto worst = std::max_element(layers.begin(), layers.end(),
                                      [](const auto& a, const auto& b) { return a.seen_bits() < b.seen_bits(); });
  return fmt::format(
      "Accumulators of 16 bits would have overflowed in {} of {} layers, and could in {}: {} needs {} bits "
      "for the sums that were seen.",
      did, count, may, worst->layer, worst->seen_bits());
}

}  // namespace octet::quant
