// conv2d_bn and dwconv2d_bn: the convolutions as a training step runs them, batch norm split into its neighbours.
// Shapes named "-qat" have a quantizer in the map; the stem has no batch norm in front.
#include <algorithm>

#include "benchmarks/conv_tasks.h"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"

namespace octet::bench {
namespace {

using kernels::ConvBnPointers;
using kernels::ConvBnProblem;
using ConvBnTask = Task<ConvBnProblem, ConvBnPointers>;

enum class Grid { none, u8, s8 };
/// What a row multiplies.
enum class Numbers { f32, codes, bf16 };
Numbers numbers_of(const std::string& dtypes) {
  return dtypes == "f32" ? Numbers::f32 : dtypes == "bf16" ? Numbers::bf16 : Numbers::codes;
}
Unit unit_of(Numbers numbers) {
  return numbers == Numbers::f32 ? Unit::fma : numbers == Numbers::bf16 ? Unit::bf16 : Unit::int8;
}

/// A ReLU's output has u8 codes, a picture s8 ones.
ConvBnProblem problem_of(const Layer& layer, Grid grid) {
  ConvBnProblem problem;
  problem.geometry = layer.geometry;
  problem.mapped = layer.name != "stem";
  problem.act = problem.mapped ? kernels::Activation::relu : kernels::Activation::none;
  problem.quantized = grid != Grid::none;
  if (grid == Grid::u8) problem.lo = 0, problem.hi = 255;
  return problem;
}

/// What both directions read: a step that clips a little of what the map gives.
ConvBnPointers bind_source(const Layer& layer, const ConvBnProblem& problem, Operands& operands) {
  const Extents e = extents_of(layer);
  ConvBnPointers io;
  io.src = operands.input(e.src, -2, 2);
  if (problem.mapped) io.scale = operands.input(layer.geometry.c, 0.5, 1.5);
  if (problem.mapped) io.shift = operands.input(layer.geometry.c, -0.5, 0.5);
  io.step = problem.lo < 0 ? 1.5f / 127 : 2.5f / 255;
  return io;
}

ConvBnPointers bind_forward(const Layer& layer, const ConvBnProblem& problem, Numbers numbers, Operands& operands) {
  const Extents e = extents_of(layer);
  const std::int64_t k = layer.geometry.k;
  ConvBnPointers io = bind_source(layer, problem, operands);
  if (numbers == Numbers::codes) {
    io.weight_codes = static_cast<const std::int8_t*>(operands.codes(e.weight, DType::s8, -127, 127));
    io.multiplier = operands.input(k, 1e-5, 1e-4);
  } else {
    io.weight = operands.input(e.weight);
  }
  io.dst = static_cast<float*>(operands.output(e.dst));
  io.mean = static_cast<float*>(numbers == Numbers::bf16 ? operands.unchecked_output(k) : operands.output(k));
  io.variance = static_cast<float*>(numbers == Numbers::bf16 ? operands.unchecked_output(k) : operands.output(k));
  if (!problem.quantized) return io;
  io.low = static_cast<float*>(operands.output(k));
  io.high = static_cast<float*>(operands.output(k));
  return io;
}

ConvBnPointers bind_backward(const Layer& layer, const ConvBnProblem& problem, Operands& operands) {
  const Extents e = extents_of(layer);
  const std::int64_t c = layer.geometry.c, k = layer.geometry.k;
  ConvBnPointers io = bind_source(layer, problem, operands);
  io.weight = operands.input(e.weight);
  io.d_dst = operands.input(e.dst);
  io.z_dst = operands.input(e.dst);
  io.slope = operands.input(k, -1e-3, 1e-3);
  io.offset = operands.input(k, -1e-3, 1e-3);
  io.d_weight = static_cast<float*>(operands.output(e.weight));
  if (!problem.mapped) return io;  // nobody wants a picture's gradient
  io.d_src = static_cast<float*>(operands.output(e.src));
  io.d_scale = static_cast<float*>(operands.output(c));
  io.d_shift = static_cast<float*>(operands.output(c));
  return io;
}

std::string shape_of(const Layer& layer, Grid grid) { return grid == Grid::none ? layer.name : layer.name + "-qat"; }

/// dtypes u8s8 and s8s8 are the integer forward of a quantized layer.
ConvBnTask forward_task(const std::string& room, const char* pass, const Layer& layer, Grid grid,
                        const char* dtypes = "f32") {
  const ConvBnProblem problem = problem_of(layer, grid);
  const Extents e = extents_of(layer);
  const Numbers numbers = numbers_of(dtypes);
  const std::int64_t terms = numbers == Numbers::bf16 ? e.weight / layer.geometry.k : 0;
  const double weight_bytes = static_cast<double>(e.weight) * (numbers == Numbers::codes ? 1 : sizeof(float));
  const Work work{2 * conv_macs(layer), weight_bytes + sizeof(float) * static_cast<double>(e.src + e.dst),
                  unit_of(numbers)};
  const auto bind = [=](Operands& operands) { return bind_forward(layer, problem, numbers, operands); };
  return {room,
          group_of(pass, shape_of(layer, grid), layer.geometry.n),
          pass,
          dtypes,
          problem,
          work,
          terms,
          bind,
          numbers == Numbers::bf16};
}

ConvBnTask backward_task(const std::string& room, const char* pass, const Layer& layer, Grid grid,
                         const char* dtypes = "f32") {
  const Numbers numbers = numbers_of(dtypes);
  const ConvBnProblem problem = problem_of(layer, grid);
  const Extents e = extents_of(layer);
  const std::int64_t terms = numbers == Numbers::bf16 ? layer.geometry.out_pixels() + layer.geometry.k : 0;
  const double sources = problem.mapped ? 2 : 1, products = problem.mapped ? 4 : 2;  // with and without d_src
  const double elements = sources * static_cast<double>(e.src) + 2 * static_cast<double>(e.dst + e.weight);
  const Work work{products * conv_macs(layer), sizeof(float) * elements, unit_of(numbers)};
  const auto bind = [=](Operands& operands) { return bind_backward(layer, problem, operands); };
  return {room,
          group_of(pass, shape_of(layer, grid), layer.geometry.n),
          pass,
          dtypes,
          problem,
          work,
          terms,
          bind,
          numbers == Numbers::bf16};
}

}  // namespace

void add_conv2d_bn(Suite& suite) {
  const auto rows = kernels::conv2d_bn_rows();
  const bool has_bf16 =
      std::any_of(rows.begin(), rows.end(), [](const auto& row) { return numbers_of(row.dtypes) == Numbers::bf16; });
  const char *room = "conv2d_bn", *forward = "conv2d_bn_fwd", *backward = "conv2d_bn_bwd";
  for (const Layer& layer : layers_of(LayerKind::conv, suite.settings().batch)) {
    suite.add(rows, forward_task(room, forward, layer, Grid::none));
    suite.add(rows, backward_task(room, backward, layer, Grid::none));
    if (!layer.geometry.is_pointwise()) continue;  // windows take sources that are materialised, so unmapped floats
    suite.add(rows, forward_task(room, forward, layer, Grid::u8));
    suite.add(rows, forward_task(room, forward, layer, Grid::u8, "u8s8"));
    suite.add(rows, forward_task(room, forward, layer, Grid::s8, "s8s8"));
    suite.add(rows, backward_task(room, backward, layer, Grid::u8));
    if (!has_bf16) continue;
    suite.add(rows, forward_task(room, forward, layer, Grid::none, "bf16"));
    suite.add(rows, backward_task(room, backward, layer, Grid::none, "bf16"));
  }
  suite.require_all(rows);
}

void add_dwconv2d_bn(Suite& suite) {
  const auto rows = kernels::dwconv2d_bn_rows();
  const char *room = "dwconv2d_bn", *forward = "dwconv2d_bn_fwd", *backward = "dwconv2d_bn_bwd";
  for (const Layer& layer : layers_of(LayerKind::depthwise, suite.settings().batch))
    for (const Grid grid : {Grid::none, Grid::u8}) {
      suite.add(rows, forward_task(room, forward, layer, grid));
      suite.add(rows, backward_task(room, backward, layer, grid));
    }
  suite.require_all(rows);
}

}  // namespace octet::bench
