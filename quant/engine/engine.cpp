#include "quant/engine/engine.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"
#include "kernels/eltwise/eltwise.h"
#include "kernels/eltwise_int8/eltwise_int8.h"
#include "kernels/pool/pool.h"
#include "kernels/pool_int8/pool_int8.h"
#include "kernels/quantize/quantize.h"
#include "quant/engine/graph_file.h"
#include "quant/engine/memory_plan.h"

namespace octet::engine {
namespace {

// Pictures that go through the net together: their activations stay in the second-level cache.
constexpr std::int64_t kTile = 16;
// Fewer, where activations are so large that a tile would take more than this.
constexpr std::size_t kMostArena = std::size_t{1} << 30;

std::int64_t tile_of(const MemoryPlan& place) {
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(kMostArena / std::max<std::size_t>(place.bytes_per_picture, 1)), 1, kTile);
}

DType storage(const GraphNode& node) {
  if (!node.type.is_codes) return DType::f32;
  return node.type.grid.is_unsigned() ? DType::u8 : DType::s8;
}

/// Runs one node for n pictures: sources in the order of its inputs, then the destination.
using Step = std::function<void(std::int64_t n, const void* const* src, void* dst)>;

kernels::IntConvPlan plan_conv(const GraphNode& node, const GraphNode& input) {
  const float s_x = input.type.grid.step();
  const bool codes = node.type.is_codes, onnx = node.rule == QuantRule::onnx;
  kernels::IntConvProblem problem;
  problem.geometry = node.geometry;
  problem.geometry.n = kTile;
  problem.src = storage(input);
  problem.z_x = input.type.grid.zero_point;
  problem.store = {storage(node), node.rule, codes ? node.type.grid.zero_point : 0, node.clamp_lo, node.clamp_hi, node.act};
  std::vector<float> multiplier(node.weight_step.size()), bias(node.float_bias);
  const float s_y = codes ? node.type.grid.step() : 1.0f;
  for (std::size_t c = 0; c < multiplier.size(); ++c) {
    multiplier[c] = s_x * node.weight_step[c];
    if (codes) multiplier[c] /= s_y;
  }
  if (codes)
    for (float& b : bias) b /= s_y;
  if (codes && !onnx) bias.resize(multiplier.size());
  const kernels::IntConvWeights weights{node.weight.data<std::int8_t>(), node.bias.empty() ? nullptr : node.bias.data(), multiplier.data(),
                                        bias.empty() ? nullptr : bias.data()};
  return node.op == OpKind::conv2d ? kernels::plan_conv2d_int8(problem, weights) : kernels::plan_dwconv2d_int8(problem, weights);
}

// A layer of floats by the plain rows, activation behind.
Step float_layer_step(const GraphNode& node) {
  const bool depthwise = node.op == OpKind::dwconv2d;
  return [node, depthwise](std::int64_t n, const void* const* src, void* dst) {
    kernels::ConvGeometry geometry = node.geometry;
    geometry.n = n;
    kernels::Conv2dPointers io;
    io.src = src[0], io.weight = node.weight.raw(), io.bias = node.float_bias.empty() ? nullptr : node.float_bias.data(), io.dst = dst;
    kernels::dispatch(depthwise ? kernels::dwconv2d_rows() : kernels::conv2d_rows(), depthwise ? "dwconv2d_fwd" : "conv2d_fwd", "f32", geometry, io);
    if (node.act == kernels::Activation::none) return;
    kernels::EltwiseProblem problem;
    problem.count = geometry.out_pixels() * geometry.k, problem.act = node.act;
    kernels::dispatch(kernels::eltwise_rows(), "act_fwd", "f32", problem, kernels::EltwisePointers{dst, nullptr, nullptr, nullptr, dst});
  };
}

Step quantize_step(const GraphNode& node, const QuantParams& grid, const char* pass, const std::string& dtypes) {
  kernels::QuantizeProblem problem;
  problem.zero_point = grid.zero_point, problem.lo = grid.lo, problem.hi = grid.hi, problem.rule = grid.rule;
  const std::int64_t count = node.h * node.w * node.c;
  return [=, scale = grid.scale[0]](std::int64_t n, const void* const* src, void* dst) {
    kernels::QuantizeProblem now = problem;
    now.inner = n * count;
    kernels::dispatch(kernels::quantize_rows(), pass, dtypes.c_str(), now, kernels::QuantizePointers{src[0], &scale, dst});
  };
}

Step add_step(const GraphNode& node, const GraphNode& a, const GraphNode& b) {
  const std::int64_t pixels = node.h * node.w;
  if (!node.type.is_codes)
    return [=, c = node.c](std::int64_t n, const void* const* src, void* dst) {
      kernels::EltwiseProblem problem;
      problem.count = n * pixels * c;
      kernels::dispatch(kernels::eltwise_rows(), "add_fwd", "f32", problem, kernels::EltwisePointers{src[0], src[1], nullptr, nullptr, dst});
    };
  const QuantParams& grid = node.type.grid;
  kernels::EltwiseInt8Problem problem;
  problem.c = node.c;
  problem.a = storage(a), problem.b = storage(b), problem.dst = storage(node);
  problem.z_a = a.type.grid.zero_point, problem.z_b = b.type.grid.zero_point, problem.z = grid.zero_point;
  problem.m_a = a.type.grid.step() / grid.step(), problem.m_b = b.type.grid.step() / grid.step();
  problem.lo = node.clamp_lo, problem.hi = node.clamp_hi;
  return [=](std::int64_t n, const void* const* src, void* dst) {
    kernels::EltwiseInt8Problem now = problem;
    now.rows = n * pixels;
    kernels::dispatch(kernels::eltwise_int8_rows(), "add_int8_fwd", "int8", now, kernels::EltwiseInt8Pointers{src[0], src[1], dst});
  };
}

Step activation_step(const GraphNode& node) {
  return [act = node.act, count = node.h * node.w * node.c](std::int64_t n, const void* const* src, void* dst) {
    kernels::EltwiseProblem problem;
    problem.count = n * count, problem.act = act;
    kernels::dispatch(kernels::eltwise_rows(), "act_fwd", "f32", problem, kernels::EltwisePointers{src[0], nullptr, nullptr, nullptr, dst});
  };
}

Step concat_step(const GraphNode& node, const std::vector<const GraphNode*>& inputs) {
  const std::int64_t bytes = node.type.is_codes ? 1 : static_cast<std::int64_t>(sizeof(float));
  std::vector<std::int64_t> widths;
  for (const GraphNode* input : inputs) widths.push_back(input->c * bytes);
  return [=, pixels = node.h * node.w, row = node.c * bytes](std::int64_t n, const void* const* src, void* dst) {
    auto* to = static_cast<std::uint8_t*>(dst);
    for (std::size_t i = 0; i < widths.size(); ++i) {
      kernels::copy_code_rows(src[i], n * pixels, widths[i], to, row);
      to += widths[i];
    }
  };
}

Step float_pool_step(const GraphNode& node) {
  return [of_one = node.geometry, largest = node.op == OpKind::max_pool](std::int64_t n, const void* const* src, void* dst) {
    kernels::PoolProblem geometry = of_one;
    geometry.n = n;
    Tensor argmax(Shape{largest ? geometry.out_pixels() * geometry.c : 0}, DType::s32);
    kernels::PoolPointers pointers;
    pointers.src = src[0], pointers.dst = dst, pointers.argmax = argmax.data<std::int32_t>();
    kernels::dispatch(kernels::pool_rows(), largest ? "max_pool_fwd" : "avg_pool_fwd", "f32", geometry, pointers);
  };
}

Step pool_step(const GraphNode& node, const GraphNode& input) {
  if (!node.type.is_codes) return float_pool_step(node);
  kernels::PoolInt8Problem problem;
  problem.geometry = node.geometry;
  problem.src = storage(input), problem.dst = storage(node);
  problem.z_x = input.type.grid.zero_point, problem.z = node.type.grid.zero_point;
  problem.s_x = input.type.grid.step(), problem.s_y = node.type.grid.step();
  problem.lo = node.clamp_lo, problem.hi = node.clamp_hi;
  const char* pass = node.op == OpKind::max_pool ? "max_pool_int8_fwd" : "avg_pool_int8_fwd";
  return [=](std::int64_t n, const void* const* src, void* dst) {
    kernels::PoolInt8Problem now = problem;
    now.geometry.n = n;
    kernels::dispatch(kernels::pool_int8_rows(), pass, "int8", now, kernels::PoolInt8Pointers{src[0], dst});
  };
}

}  // namespace

struct Engine::Plan {
  Graph graph;
  std::vector<Step> steps;        // empty for the input and for flatten, which is its input's memory
  std::vector<std::string> rows;  // implementation of each conv
  MemoryPlan memory, keeping_all;

  void add_step(const GraphNode& node) {
    std::vector<const GraphNode*> in;
    for (int i : node.inputs) in.push_back(&graph.nodes[static_cast<std::size_t>(i)]);
    rows.emplace_back();
    switch (node.op) {
      case OpKind::input:
      case OpKind::flatten: steps.emplace_back(); break;
      case OpKind::quantize:
        steps.push_back(quantize_step(node, node.type.grid, "quantize_fwd", std::string("f32") + name_of(storage(node))));
        break;
      case OpKind::dequantize:
        steps.push_back(quantize_step(node, in[0]->type.grid, "dequantize_fwd", std::string(name_of(storage(*in[0]))) + "f32"));
        break;
      case OpKind::conv2d:
      case OpKind::dwconv2d: {
        if (is_float_layer(node)) {
          steps.push_back(float_layer_step(node));
          break;
        }
        const kernels::IntConvPlan plan = plan_conv(node, *in[0]);
        rows.back() = plan.impl();
        steps.emplace_back([plan](std::int64_t n, const void* const* src, void* dst) { plan.run(src[0], dst, n); });
        break;
      }
      case OpKind::add: steps.push_back(engine::add_step(node, *in[0], *in[1])); break;
      case OpKind::concat: steps.push_back(concat_step(node, in)); break;
      case OpKind::max_pool:
      case OpKind::avg_pool: steps.push_back(pool_step(node, *in[0])); break;
      case OpKind::activation: steps.push_back(activation_step(node)); break;
    }
  }

  // n pictures through every node, in an arena of this call's own.
  void run_tile(const MemoryPlan& place, char* arena, std::int64_t n, const void* pictures) const {
    std::vector<const void*> src;
    const auto at = [&](std::size_t i) { return arena + place.offset[i] * static_cast<std::size_t>(n); };
    std::memcpy(at(0), pictures, value_bytes(graph.nodes[0]) * static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (!steps[i]) continue;
      src.clear();
      for (int input : graph.nodes[i].inputs) src.push_back(at(static_cast<std::size_t>(input)));
      steps[i](n, src.data(), at(i));
    }
  }
};

Engine::Engine(const Graph& graph) {
  validate(graph);
  auto plan = std::make_unique<Plan>();
  plan->graph = graph;
  for (const GraphNode& node : plan->graph.nodes) plan->add_step(node);
  plan->memory = plan_memory(graph, false);
  plan->keeping_all = plan_memory(graph, true);
  plan_ = std::move(plan);
}

Engine Engine::load(const std::string& path) { return Engine(load_graph(path)); }
Engine::Engine(Engine&&) noexcept = default;
Engine::~Engine() = default;

const Graph& Engine::graph() const { return plan_->graph; }
std::size_t Engine::bytes_per_picture() const { return plan_->memory.bytes_per_picture; }

std::string Engine::plan_text() const {
  std::string text;
  for (std::size_t i = 0; i < plan_->graph.nodes.size(); ++i)
    text += fmt::format("{:28} {:10} {}\n", plan_->graph.nodes[i].name, name_of(plan_->graph.nodes[i].op), plan_->rows[i]);
  return text;
}

Tensor Engine::run(const Tensor& pictures, NamedTensors* values) const {
  const auto& nodes = plan_->graph.nodes;
  const Shape& shape = pictures.shape();
  OCTET_CHECK(pictures.dtype() == DType::f32 && shape.rank() == 4 && shape[1] == nodes[0].h && shape[2] == nodes[0].w && shape[3] == nodes[0].c,
              "engine", "pictures are {} {}, the model takes f32 Nx{}x{}x{}", name_of(pictures.dtype()), shape.str(), nodes[0].h, nodes[0].w, nodes[0].c);
  const std::int64_t count = shape[0];
  const auto output = static_cast<std::size_t>(plan_->graph.output);
  const MemoryPlan& place = values ? plan_->keeping_all : plan_->memory;
  const std::int64_t tile_size = std::min(count, tile_of(place));
  const auto arena = allocate(place.bytes_per_picture * static_cast<std::size_t>(tile_size));
  Tensor logits({count, nodes[output].c});
  if (values) {
    values->clear();
    for (const GraphNode& node : nodes) values->emplace_back(node.name, Tensor({count, node.h, node.w, node.c}, storage(node)));
  }
  for (std::int64_t begin = 0; begin < count; begin += tile_size) {
    const std::int64_t n = std::min(tile_size, count - begin);
    const Tensor tile = pictures.slice(begin, begin + n);
    plan_->run_tile(place, static_cast<char*>(arena.get()), n, tile.raw());
    const auto take = [&](std::size_t i, Tensor to) {
      std::memcpy(to.raw(), static_cast<const char*>(arena.get()) + place.offset[i] * static_cast<std::size_t>(n), to.nbytes());
    };
    take(output, logits.slice(begin, begin + n));
    if (values)
      for (std::size_t i = 0; i < nodes.size(); ++i) take(i, (*values)[i].second.slice(begin, begin + n));
  }
  return logits;
}

}  // namespace octet::engine
