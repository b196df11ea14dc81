#include "graphs.h"

namespace octet::engine::test {
namespace {

std::vector<int> random_weight(std::mt19937& random, std::size_t count) {
  std::vector<int> weight(count);
  for (int& w : weight) w = static_cast<int>(random() % 255) - 127;
  return weight;
}

}  // namespace

Builder::Builder(std::int64_t h, std::int64_t w, std::int64_t c) {
  GraphNode node;
  node.h = h, node.w = w, node.c = c;
  graph_.scheme = "octet";
  graph_.notes["model"] = "test";
  push(node, {});
}

int Builder::push(GraphNode node, std::optional<QuantParams> grid) {
  node.name = std::string(name_of(node.op)) + std::to_string(graph_.nodes.size());
  if (grid) {
    node.type = {true, *grid};
    node.clamp_lo = grid->lo, node.clamp_hi = grid->hi;
  }
  graph_.nodes.push_back(std::move(node));
  return static_cast<int>(graph_.nodes.size()) - 1;
}

GraphNode Builder::windowed(OpKind op, int from, std::int64_t k, Window v) {
  const GraphNode& x = at(from);
  GraphNode node;
  node.op = op;
  node.inputs = {from};
  node.geometry = {1, x.h, x.w, x.c, k, v.r, v.s, v.stride_h, v.stride_w, v.pad_h, v.pad_w};
  node.h = node.geometry.out_h(), node.w = node.geometry.out_w(), node.c = k;
  return node;
}

int Builder::weighted(GraphNode node, const Shape& shape, const std::vector<int>& weight, std::vector<float> step,
                      std::optional<QuantParams> grid) {
  node.weight = Tensor::from(shape, std::vector<std::int8_t>(weight.begin(), weight.end()));
  node.weight_step = std::move(step);
  node.rule = at(node.inputs[0]).type.grid.rule;
  return push(std::move(node), std::move(grid));
}

int Builder::conv(int from, std::int64_t k, Window v, std::vector<int> weight, std::vector<float> step,
                  std::optional<QuantParams> grid) {
  const std::int64_t c = at(from).c;
  return weighted(windowed(OpKind::conv2d, from, k, v), {k, v.r, v.s, c}, weight, std::move(step), std::move(grid));
}

int Builder::depthwise(int from, Window v, std::vector<int> weight, std::vector<float> step,
                       std::optional<QuantParams> grid) {
  const std::int64_t c = at(from).c;
  return weighted(windowed(OpKind::dwconv2d, from, c, v), {c, v.r, v.s, 1}, weight, std::move(step), std::move(grid));
}

int Builder::max_pool(int from, Window v) {
  const ValueType type = at(from).type;
  return push(windowed(OpKind::max_pool, from, at(from).c, v), type.is_codes ? std::optional(type.grid) : std::nullopt);
}

int Builder::avg_pool(int from, Window v, std::optional<QuantParams> grid) {
  return push(windowed(OpKind::avg_pool, from, at(from).c, v), std::move(grid));
}

int Builder::quantize(int from, const QuantParams& grid) {
  GraphNode node;
  node.op = OpKind::quantize, node.inputs = {from};
  node.h = at(from).h, node.w = at(from).w, node.c = at(from).c;
  return push(std::move(node), grid);
}

int Builder::dequantize(int from) {
  GraphNode node;
  node.op = OpKind::dequantize, node.inputs = {from};
  node.h = at(from).h, node.w = at(from).w, node.c = at(from).c;
  return push(std::move(node), {});
}

int Builder::add(int a, int b, std::optional<QuantParams> grid) {
  GraphNode node;
  node.op = OpKind::add, node.inputs = {a, b};
  node.h = at(a).h, node.w = at(a).w, node.c = at(a).c;
  return push(std::move(node), std::move(grid));
}

int Builder::concat(const std::vector<int>& from) {
  GraphNode node;
  node.op = OpKind::concat, node.inputs = from;
  node.h = at(from[0]).h, node.w = at(from[0]).w, node.c = 0;
  for (int i : from) node.c += at(i).c;
  const ValueType type = at(from[0]).type;
  return push(std::move(node), type.is_codes ? std::optional(type.grid) : std::nullopt);
}

int Builder::flatten(int from) {
  GraphNode node;
  node.op = OpKind::flatten, node.inputs = {from};
  node.c = at(from).h * at(from).w * at(from).c;
  const ValueType type = at(from).type;
  return push(std::move(node), type.is_codes ? std::optional(type.grid) : std::nullopt);
}

int Builder::activation(int from, kernels::Activation act) {
  GraphNode node;
  node.op = OpKind::activation, node.inputs = {from}, node.act = act;
  node.h = at(from).h, node.w = at(from).w, node.c = at(from).c;
  return push(std::move(node), {});
}

Graph Builder::finish() {
  graph_.output = static_cast<int>(graph_.nodes.size()) - 1;
  return graph_;
}

Graph every_op(QuantRule rule, std::uint32_t seed) {
  std::mt19937 random(seed);
  const bool p = rule == QuantRule::paddle;
  const QuantParams image = p ? paddle(1.0f, 127) : onnx(1.0f / 127, 0, -127, 127),
                    unsigned_grid = p ? paddle(2.5f, 127) : onnx(0.01f, 0, 0, 255),
                    affine = p ? paddle(4.0f, 127) : onnx(0.03f, 5, -128, 127);
  Builder b(6, 5, 3);
  const auto dress = [&](int i) {  // biases of both rules
    for (std::int64_t k = 0; k < b.at(i).c; ++k)
      if (p)
        b.at(i).float_bias.push_back(0.1f * static_cast<float>(k) - 0.3f);
      else
        b.at(i).bias.push_back(static_cast<std::int32_t>(random() % 2001) - 1000);
    return i;
  };
  const auto steps = [](std::size_t k) { return std::vector<float>(k, 0.004f); };
  const int codes = b.quantize(0, image);
  const int stem = dress(b.conv(codes, 7, {3, 3, 1, 1, 1, 1}, random_weight(random, 7 * 27), steps(7), unsigned_grid));
  const int depthwise = dress(b.depthwise(stem, {3, 2, 1, 1, 1, 0}, random_weight(random, 7 * 6), steps(7), affine));
  const int point = b.conv(depthwise, 7, {}, random_weight(random, 49), steps(7), affine);
  const int sum = b.add(depthwise, point, affine);
  b.at(sum).clamp_lo = affine.zero_point;  // relu
  const int joined = b.concat({sum, depthwise});
  const int largest = b.max_pool(joined, {3, 3, 2, 2, 1, 1});
  const int average = b.avg_pool(largest, {2, 2, 1, 1, 1, 1}, unsigned_grid);
  const int floats = b.activation(b.dequantize(average), kernels::Activation::relu6);
  const int wide = b.concat({b.add(floats, floats), b.dequantize(average)});
  const int pooled = b.avg_pool(b.max_pool(wide, {2, 2, 1, 1, 0, 0}), {2, 2, 2, 2, 0, 0});
  const int flat = b.flatten(b.quantize(pooled, affine));
  const auto width = static_cast<std::size_t>(b.at(flat).c);
  dress(b.conv(flat, 4, {}, random_weight(random, 4 * width), steps(4)));
  return b.finish();
}

Tensor random_pictures(std::int64_t n, const Graph& graph, std::uint32_t seed) {
  std::mt19937 random(seed);
  const GraphNode& in = graph.nodes[0];
  std::vector<float> x(static_cast<std::size_t>(n * in.h * in.w * in.c));
  for (float& value : x) value = (static_cast<float>(random() % 256) - 127.5f) / 127.5f;
  return Tensor::from({n, in.h, in.w, in.c}, x);
}

GraphNode& named(Graph& graph, const std::string& name) {
  for (GraphNode& node : graph.nodes)
    if (node.name == name) return node;
  fail("test", "no node " + name);
}

}  // namespace octet::engine::test
