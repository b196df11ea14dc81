#include "quant/engine/steps.h"

#include <vector>

#include "kernels/conv2d_act/conv2d_act.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "kernels/dwconv2d_act/dwconv2d_act.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"
#include "kernels/eltwise/eltwise.h"
#include "kernels/eltwise_int8/eltwise_int8.h"
#include "kernels/pool/pool.h"
#include "kernels/pool_int8/pool_int8.h"
#include "kernels/quantize/quantize.h"

namespace octet::engine {
namespace {

using Sources = const void* const*;
using kernels::Context;

std::int64_t count_of(const GraphNode& node) { return node.h * node.w * node.c; }

Step integer_layer(const GraphNode& node, const GraphNode& input, const Context& context) {
  const float s_x = input.type.grid.step();
  const bool codes = node.type.is_codes, onnx = node.rule == QuantRule::onnx;
  kernels::IntConvProblem problem;
  problem.geometry = node.geometry;
  problem.src = storage(input);
  problem.z_x = input.type.grid.zero_point;
  problem.store = {storage(node), node.rule,     codes ? node.type.grid.zero_point : 0,
                   node.clamp_lo, node.clamp_hi, node.act};
  std::vector<float> multiplier(node.weight_step.size()), bias(node.float_bias);
  const float s_y = codes ? node.type.grid.step() : 1.0f;
  for (std::size_t c = 0; c < multiplier.size(); ++c) {
    multiplier[c] = s_x * node.weight_step[c];
    if (codes) multiplier[c] /= s_y;
  }
  if (codes)
    for (float& b : bias) b /= s_y;
  if (codes && !onnx) bias.resize(multiplier.size());
  const kernels::IntConvWeights weights{node.weight.data<std::int8_t>(), node.bias.empty() ? nullptr : node.bias.data(),
                                        multiplier.data(), bias.empty() ? nullptr : bias.data()};
  const kernels::IntConvPlan plan = node.op == OpKind::conv2d
                                        ? kernels::plan_conv2d_int8(problem, weights, context.device)
                                        : kernels::plan_dwconv2d_int8(problem, weights, context.device);
  return {[plan, context](std::int64_t n, Sources src, void* dst) { plan.run(src[0], dst, n, context); }, plan.impl(),
          plan.packed_bytes()};
}

/// A layer of f32 weights: `weight_of` writes them in the order that `rows` read.
template <class Problem, class Pointers>
Step float_layer(const GraphNode& node, std::span<const kernels::Row<Problem, Pointers>> rows, const char* pass,
                 std::int64_t weight_size, void (*weight_of)(const kernels::ConvGeometry&, const float*, float*),
                 const Context& context) {
  const Problem problem{node.geometry, node.act};
  const auto& row = kernels::select(rows, pass, "f32", problem, context.device);
  Tensor packed({weight_size}), bias;
  weight_of(node.geometry, node.weight.data<float>(), packed.data<float>());
  const Tensor weight = packed.to(context.device);
  if (!node.float_bias.empty())
    bias = Tensor::from(Shape{static_cast<std::int64_t>(node.float_bias.size())}, node.float_bias).to(context.device);
  const auto run = [problem, weight, bias, context, &row](std::int64_t n, Sources src, void* dst) {
    Problem now = problem;
    now.geometry.n = n;
    const auto floats = [](const Tensor& t) { return t.defined() ? static_cast<const float*>(t.raw()) : nullptr; };
    kernels::run_row(
        row, now, Pointers{static_cast<const float*>(src[0]), floats(weight), floats(bias), static_cast<float*>(dst)},
        context);
  };
  return {run, row.impl, weight.nbytes()};
}

Step float_layer(const GraphNode& node, const Context& context) {
  if (node.op == OpKind::dwconv2d)
    return float_layer(node, kernels::dwconv2d_act_rows(), "dwconv2d_act_fwd", node.weight.numel(),
                       kernels::dwconv2d_act_weight, context);
  return float_layer(node, kernels::conv2d_act_rows(), "conv2d_act_fwd", kernels::conv2d_act_weight_size(node.geometry),
                     kernels::conv2d_act_weight, context);
}

Step conversion(const GraphNode& node, const QuantParams& grid, const char* pass, const std::string& dtypes,
                const Context& context) {
  kernels::QuantizeProblem problem;
  problem.zero_point = grid.zero_point, problem.lo = grid.lo, problem.hi = grid.hi, problem.rule = grid.rule;
  const auto& row = kernels::select(kernels::quantize_rows(), pass, dtypes.c_str(), problem, context.device);
  const Tensor scale = Tensor::full({1}, grid.scale[0]).to(context.device);
  const auto run = [problem, count = count_of(node), scale, context, &row](std::int64_t n, Sources src, void* dst) {
    kernels::QuantizeProblem now = problem;
    now.inner = n * count;
    kernels::run_row(row, now, kernels::QuantizePointers{src[0], static_cast<const float*>(scale.raw()), dst}, context);
  };
  return {run, row.impl};
}

Step quantize(const GraphNode& node, const Context& context) {
  return conversion(node, node.type.grid, "quantize_fwd", std::string("f32") + name_of(storage(node)), context);
}

Step dequantize(const GraphNode& node, const GraphNode& input, const Context& context) {
  return conversion(node, input.type.grid, "dequantize_fwd", std::string(name_of(storage(input))) + "f32", context);
}

/// An element-wise pass over floats: add_fwd of two sources, act_fwd of one.
Step float_eltwise(const GraphNode& node, const char* pass, const Context& context) {
  const auto& row = kernels::select(kernels::eltwise_rows(), pass, "f32", kernels::EltwiseProblem{}, context.device);
  const auto run = [act = node.act, count = count_of(node), two = node.inputs.size() == 2, context, &row](
                       std::int64_t n, Sources src, void* dst) {
    kernels::EltwiseProblem problem;
    problem.count = n * count, problem.act = act;
    kernels::run_row(row, problem, kernels::EltwisePointers{src[0], two ? src[1] : nullptr, nullptr, nullptr, dst},
                     context);
  };
  return {run, row.impl};
}

Step add(const GraphNode& node, const GraphNode& a, const GraphNode& b, const Context& context) {
  if (!node.type.is_codes) return float_eltwise(node, "add_fwd", context);
  const QuantParams& grid = node.type.grid;
  kernels::EltwiseInt8Problem problem;
  problem.c = node.c;
  problem.a = storage(a), problem.b = storage(b), problem.dst = storage(node);
  problem.z_a = a.type.grid.zero_point, problem.z_b = b.type.grid.zero_point, problem.z = grid.zero_point;
  problem.m_a = a.type.grid.step() / grid.step(), problem.m_b = b.type.grid.step() / grid.step();
  problem.lo = node.clamp_lo, problem.hi = node.clamp_hi;
  const auto& row = kernels::select(kernels::eltwise_int8_rows(), "add_int8_fwd", "int8", problem, context.device);
  const auto run = [problem, pixels = node.h * node.w, context, &row](std::int64_t n, Sources src, void* dst) {
    kernels::EltwiseInt8Problem now = problem;
    now.rows = n * pixels;
    kernels::run_row(row, now, kernels::EltwiseInt8Pointers{src[0], src[1], dst}, context);
  };
  return {run, row.impl};
}

/// copy_code_rows() on the device: a requantization that leaves bytes as they are.
Step copy_rows_there(const std::vector<std::int64_t>& widths, std::int64_t pixels, std::int64_t row_bytes,
                     const Context& context) {
  kernels::EltwiseInt8Problem problem;
  problem.dst_stride = row_bytes;
  const auto& row =
      kernels::select(kernels::eltwise_int8_rows(), "requantize_int8_fwd", "int8", problem, context.device);
  const auto run = [problem, widths, pixels, context, &row](std::int64_t n, Sources src, void* dst) {
    kernels::EltwiseInt8Problem now = problem;
    now.rows = n * pixels;
    auto* to = static_cast<std::uint8_t*>(dst);
    for (std::size_t i = 0; i < widths.size(); ++i) {
      now.c = widths[i];
      kernels::run_row(row, now, kernels::EltwiseInt8Pointers{src[i], nullptr, to}, context);
      to += widths[i];
    }
  };
  return {run, row.impl};
}

Step concat(const GraphNode& node, const std::vector<const GraphNode*>& inputs, const Context& context) {
  const std::int64_t bytes = node.type.is_codes ? 1 : static_cast<std::int64_t>(sizeof(float));
  std::vector<std::int64_t> widths;
  for (const GraphNode* input : inputs) widths.push_back(input->c * bytes);
  if (context.device != Device::cpu) return copy_rows_there(widths, node.h * node.w, node.c * bytes, context);
  return {[widths, pixels = node.h * node.w, row = node.c * bytes](std::int64_t n, Sources src, void* dst) {
            auto* to = static_cast<std::uint8_t*>(dst);
            for (std::size_t i = 0; i < widths.size(); ++i) {
              kernels::copy_code_rows(src[i], n * pixels, widths[i], to, row);
              to += widths[i];
            }
          },
          ""};
}

Step float_pool(const GraphNode& node, const Context& context) {
  const bool largest = node.op == OpKind::max_pool;
  const auto& row = kernels::select(kernels::pool_rows(), largest ? "max_pool_fwd" : "avg_pool_fwd", "f32",
                                    node.geometry, context.device);
  const auto run = [of_one = node.geometry, largest, context, &row](std::int64_t n, Sources src, void* dst) {
    kernels::PoolProblem geometry = of_one;
    geometry.n = n;
    Tensor argmax(Shape{largest ? geometry.out_pixels() * geometry.c : 0}, DType::s32, context.device);
    kernels::PoolPointers pointers;
    pointers.src = src[0], pointers.dst = dst, pointers.argmax = static_cast<std::int32_t*>(argmax.raw());
    kernels::run_row(row, geometry, pointers, context);
  };
  return {run, row.impl};
}

Step pool(const GraphNode& node, const GraphNode& input, const Context& context) {
  if (!node.type.is_codes) return float_pool(node, context);
  kernels::PoolInt8Problem problem;
  problem.geometry = node.geometry;
  problem.src = storage(input), problem.dst = storage(node);
  problem.z_x = input.type.grid.zero_point, problem.z = node.type.grid.zero_point;
  problem.s_x = input.type.grid.step(), problem.s_y = node.type.grid.step();
  problem.lo = node.clamp_lo, problem.hi = node.clamp_hi;
  const char* pass = node.op == OpKind::max_pool ? "max_pool_int8_fwd" : "avg_pool_int8_fwd";
  const auto& row = kernels::select(kernels::pool_int8_rows(), pass, "int8", problem, context.device);
  const auto run = [problem, context, &row](std::int64_t n, Sources src, void* dst) {
    kernels::PoolInt8Problem now = problem;
    now.geometry.n = n;
    kernels::run_row(row, now, kernels::PoolInt8Pointers{src[0], dst}, context);
  };
  return {run, row.impl};
}

}  // namespace

DType storage(const GraphNode& node) {
  if (!node.type.is_codes) return DType::f32;
  return node.type.grid.is_unsigned() ? DType::u8 : DType::s8;
}

Step make_step(const Graph& graph, std::size_t i, Device device) {
  const GraphNode& node = graph.nodes[i];
  std::vector<const GraphNode*> in;
  for (int input : node.inputs) in.push_back(&graph.nodes[static_cast<std::size_t>(input)]);
  const Context context = kernels::context_of(device);
  switch (node.op) {
    case OpKind::input:
    case OpKind::flatten:
      return {};  // flatten is its input's memory
    case OpKind::quantize:
      return quantize(node, context);
    case OpKind::dequantize:
      return dequantize(node, *in[0], context);
    case OpKind::conv2d:
    case OpKind::dwconv2d:
      if (!is_float_layer(node)) return integer_layer(node, *in[0], context);
      return float_layer(node, context);
    case OpKind::add:
      return add(node, *in[0], *in[1], context);
    case OpKind::concat:
      return concat(node, in, context);
    case OpKind::max_pool:
    case OpKind::avg_pool:
      return pool(node, *in[0], context);
    case OpKind::activation:
      return float_eltwise(node, "act_fwd", context);
  }
  return {};
}

}  // namespace octet::engine
