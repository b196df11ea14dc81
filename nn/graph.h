// The float graph of a model: one evaluation forward, recorded. Convert, batch-norm grouping, summary and exporters walk it.
#pragma once
#include <string>
#include <vector>

#include "nn/module.h"

namespace octet::nn {

/// A value and the op that made it. Ops are named as in ops/ops.h; "input" is the picture.
struct GraphNode {
  std::string op;
  Attributes attributes;
  std::vector<int> inputs;           ///< indices of earlier nodes; parameters are not among them
  std::vector<Variable> parameters;  ///< leaf inputs (weight, bias, gamma, beta), in argument order
  Module* module =
      nullptr;  ///< owner of its parameters (of an affine_act: the batch norm), else the innermost module that ran it
  std::string path;  ///< its dotted name, "" for the root
  Shape shape;       ///< of the value, pictures extent 1
};

/// Topological order, the branch of an op's first argument first; nodes[0] is the input.
struct Graph {
  std::vector<GraphNode> nodes;
  int output = 0;
  /// Indices of the nodes that read node i.
  std::vector<std::vector<int>> consumers() const;
  /// A line per node, for messages and tests.
  std::string str() const;
};

/// Runs `model` in evaluation mode on two random inputs of `shape` (pictures extent first, for example 1,32,32,3), with
/// transforms bypassed, and records what ran. Throws Error when the second input traces differently (control flow that
/// depends on data), when the output does not depend on the input, or when a shape does not fit. Leaves mode and state
/// as they were.
Graph trace(Module& model, const Shape& shape);

/// Table of layers: path, kind, output shape, parameters, multiply-accumulates per picture; totals below.
std::string summary(Module& model, const Shape& shape);
/// Multiply-accumulates of one picture in convs and linears.
std::int64_t count_macs(const Graph& graph);

}  // namespace octet::nn
