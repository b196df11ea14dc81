#include "benchmarks/conv_tasks.h"

#include <algorithm>
#include <cmath>

namespace octet::bench {
namespace {

using kernels::Conv2dPointers;
using kernels::ConvGeometry;

/// Σ over output positions of the taps that lie inside, along one axis.
std::int64_t taps_inside(std::int64_t extent, std::int64_t window, std::int64_t stride, std::int64_t pad,
                         std::int64_t out) {
  std::int64_t taps = 0;
  for (std::int64_t p = 0; p < out; ++p) {
    const std::int64_t first = p * stride - pad;
    taps += std::max<std::int64_t>(0, std::min(extent, first + window) - std::max<std::int64_t>(0, first));
  }
  return taps;
}

Conv2dPointers bind_float(const Layer& layer, ConvPass which, Operands& operands) {
  const Extents e = extents_of(layer);
  Conv2dPointers io;
  if (which != ConvPass::backward_data) io.src = operands.input(e.src);
  if (which != ConvPass::backward_weight) io.weight = operands.input(e.weight);
  if (which != ConvPass::forward) io.d_dst = operands.input(e.dst);
  if (which == ConvPass::forward) io.dst = operands.output(e.dst);
  if (which == ConvPass::backward_data) io.d_src = operands.output(e.src);
  if (which == ConvPass::backward_weight) io.d_weight = operands.output(e.weight);
  return io;
}

IntConvOperands bind_codes(const Layer& layer, DType src, DType dst, int largest_weight, Operands& operands) {
  const Extents e = extents_of(layer);
  const std::int64_t k = layer.geometry.k, taps = e.weight / k;
  // Steps that spread the sums over the codes.
  const double usual = 1.0 / (60.0 * std::sqrt(static_cast<double>(taps)));
  IntConvOperands io;
  io.src = src == DType::u8 ? operands.codes(e.src, src, 0, 255) : operands.codes(e.src, src, -127, 127);
  io.weights.weight =
      static_cast<const std::int8_t*>(operands.codes(e.weight, DType::s8, -largest_weight, largest_weight));
  io.weights.bias = operands.integers(k, -3000, 3000);
  io.weights.multiplier = operands.input(k, usual * 0.2, usual);
  io.dst = operands.output(e.dst, dst);
  return io;
}

}  // namespace

std::function<void()> prepared(const kernels::IntConvRow& row, const kernels::IntConvProblem& problem,
                               const IntConvOperands& pointers) {
  const kernels::IntConvPlan plan(row, problem, pointers.weights);
  return [plan, pointers] { plan.run(pointers.src, pointers.dst); };
}

Extents extents_of(const Layer& layer) {
  const ConvGeometry& g = layer.geometry;
  return {g.n * g.h * g.w * g.c, g.k * g.r * g.s * (layer.depthwise ? 1 : g.c), g.out_pixels() * g.k};
}

double conv_macs(const Layer& layer) {
  const ConvGeometry& g = layer.geometry;
  if (!layer.depthwise) return static_cast<double>(g.out_pixels() * g.k * g.r * g.s * g.c);
  const std::int64_t taps =
      taps_inside(g.h, g.r, g.stride_h, g.pad_h, g.out_h()) * taps_inside(g.w, g.s, g.stride_w, g.pad_w, g.out_w());
  return static_cast<double>(g.n * g.c * taps);
}

FloatConvTask float_conv_task(const std::string& room, const char* pass, ConvPass which, const Layer& layer) {
  const ConvGeometry& g = layer.geometry;
  const Extents e = extents_of(layer);
  const std::int64_t window = g.r * g.s;
  const std::int64_t terms = which == ConvPass::backward_weight ? g.out_pixels()
                             : layer.depthwise                  ? window
                             : which == ConvPass::backward_data ? window * g.k
                                                                : window * g.c;
  const Work work{2 * conv_macs(layer),
                  static_cast<double>(sizeof(float)) * static_cast<double>(e.src + e.weight + e.dst)};
  return {room,  group_of(pass, layer.name, g.n),
          pass,  "f32",
          g,     work,
          terms, [layer, which](Operands& operands) { return bind_float(layer, which, operands); }};
}

IntConvTask int_conv_task(const std::string& room, const char* pass, const Layer& layer, DType src, DType dst,
                          int largest_weight) {
  kernels::IntConvProblem problem;
  problem.geometry = layer.geometry;
  problem.src = src;
  problem.store.dst = dst;
  problem.largest_weight = largest_weight;
  const Extents e = extents_of(layer);
  const double bytes =
      static_cast<double>(e.src + e.weight) + static_cast<double>(e.dst) * static_cast<double>(size_of(dst));
  const std::string float_pass = room + "_fwd";  // shown beside it
  return {room,    group_of(float_pass, layer.name, layer.geometry.n),
          pass,    src == DType::u8 ? "u8s8" : "s8s8",
          problem, {2 * conv_macs(layer), bytes, Unit::int8},
          0,       [=](Operands& operands) { return bind_codes(layer, src, dst, largest_weight, operands); }};
}

}  // namespace octet::bench
