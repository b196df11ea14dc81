// The traced net as an integer machine sees it: batch norm and activation joined to the op they follow, and a grid, or f32,
// for every value. convert() writes it down, the simulator walks it.
#pragma once
#include <string>
#include <vector>

#include "nn/layers.h"
#include "quant/deployment/fold.h"
#include "quant/engine/graph.h"

namespace octet::quant {

struct PlanNode {
  engine::OpKind op = engine::OpKind::input;
  std::string name;                  ///< module path, unique
  std::vector<int> inputs;           ///< earlier nodes
  engine::ValueType type;            ///< of the value made
  std::int64_t h = 1, w = 1, c = 1;  ///< extent of the value, per picture
  kernels::ConvGeometry geometry;    ///< conv2d, dwconv2d (a linear is a 1x1 conv) and pools; n = 1
  kernels::Activation act = kernels::Activation::none;
  nn::Module* layer = nullptr;  ///< conv2d, dwconv2d: the nn::Conv2d or nn::Linear
  nn::BatchNorm2d* batch_norm = nullptr;
};

struct Plan {
  Scheme scheme = Scheme::octet;
  std::vector<PlanNode> nodes;  ///< topological; nodes[0] is the picture
  int output = 0;
};

/// Traces a prepared model and decides every value's type. Values read by quantized layers alone, all with the same grid, are codes; others
/// are f32 with quantize and dequantize nodes between. Throws Error, with a hint, on ops that the engine lacks, on
/// convs and linears without quantizers and on quantizers that have seen no data.
Plan make_plan(nn::Module& model, const Shape& shape, const QuantConfig& config);

/// The layer of a conv node, folded.
FoldedLayer fold_node(const Plan& plan, const PlanNode& node);

/// Codes that a value of this grid may take behind an activation.
struct CodeBounds {
  std::int32_t lo = 0, hi = 0;
};
CodeBounds bounds_of(const QuantParams& grid, kernels::Activation act);

}  // namespace octet::quant
