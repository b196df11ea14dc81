// The engine's graph: what convert() makes of a trained net in integers and float_graph() in floats, what a file holds, and
// what the engine runs. Plain data, no autograd, no training code. docs/format.md describes it for readers in other
// languages; docs/quantization.md the maths.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/quant_params.h"
#include "core/tensor.h"
#include "kernels/problem.h"

namespace octet::engine {

/// What travels between nodes: floats, or codes of a grid (one scale per tensor; u8 when grid.hi > 127, else s8).
struct ValueType {
  bool is_codes = false;
  QuantParams grid;  ///< meaningful when is_codes
};

enum class OpKind {
  input,       ///< the picture: f32 N,H,W,C
  quantize,    ///< f32 → codes
  dequantize,  ///< codes → f32
  conv2d,      ///< codes → codes or f32, or f32 → f32; linear is a 1x1 conv on a 1x1 map
  dwconv2d,
  add,     ///< two codes → codes, or two f32 → f32
  concat,  ///< along channels; all of one type
  max_pool,
  avg_pool,    ///< global pooling is a window of the whole map; avg: codes → codes, or f32 → f32
  flatten,     ///< N,H,W,C → N,1,1,H·W·C
  activation,  ///< f32 → f32 relu or relu6
};
const char* name_of(OpKind);

/// A node makes the value of the same index.
struct GraphNode {
  OpKind op = OpKind::input;
  std::string name;                  ///< module path, unique, for reports and dump-codes
  std::vector<int> inputs;           ///< earlier nodes
  ValueType type;                    ///< of the value made
  std::int64_t h = 1, w = 1, c = 1;  ///< extent of the value, per picture
  /// conv2d, dwconv2d (k, r, s, strides, padding), pools (r, s, strides, padding); n, h, w, c as of its input.
  kernels::ConvGeometry geometry;
  /// onnx: codes are rint(clamp(float(a)·M)) with M[c] = fl(fl(s_x·s_w[c]) / s_y); paddle: round_half_away(float(a)·M + b / s_y)
  /// with a float bias. f32 values: float(a)·fl(s_x·s_w[c]) (+ float bias, then activation). Set for conv2d, dwconv2d.
  QuantRule rule = QuantRule::onnx;
  kernels::Activation act =
      kernels::Activation::none;            ///< f32 values only; codes clamp by grid.lo, grid.hi and clamp_*
  std::int32_t clamp_lo = 0, clamp_hi = 0;  ///< bounds of the codes stored here: the grid's, narrowed by relu / relu6
  Tensor weight;                   ///< K,R,S,C (dwconv2d C,R,S,1), BN folded in: s8, or f32 when the input is f32
  std::vector<float> weight_step;  ///< s8 weights: s'_w, one per output channel
  std::vector<std::int32_t> bias;  ///< q_b in steps of s_x·s'_w (onnx); empty under paddle
  std::vector<float> float_bias;   ///< paddle and f32 weights: b in real units; empty under onnx
};

struct Graph {
  std::string scheme;                        ///< "octet", "paddle", "tensorrt"; "float" when nothing is quantized
  std::vector<GraphNode> nodes;              ///< topological; nodes[0] is the input
  int output = 0;                            ///< f32 logits
  std::map<std::string, std::string> notes;  ///< model name, classes, normalisation, tool version …
};

/// conv2d or dwconv2d: has weights.
bool is_layer(OpKind op);
/// A layer of f32 weights on f32 values.
bool is_float_layer(const GraphNode& node);

/// Checks everything a hostile file could have wrong: order, arity, types, extents, sizes of weights and vectors, finite positive
/// scales, grid bounds, |a| < 2^31 for every channel. Throws Error naming the node.
void validate(const Graph& graph);

/// Least and greatest accumulator that channel c of a conv node can reach, exactly, when every q_x − z_x of its input may be
/// anything from `least` to `most`.
struct AccumulatorRange {
  std::int64_t least = 0, greatest = 0;
};
AccumulatorRange accumulator_range(const GraphNode& node, std::int64_t least, std::int64_t most, std::int64_t channel);
/// The larger magnitude of both, over the whole input grid.
std::int64_t accumulator_bound(const GraphNode& node, const QuantParams& input_grid, std::int64_t channel);

/// A line per node: index, op, name, extent, type, rule.
std::string str(const Graph& graph);

}  // namespace octet::engine
