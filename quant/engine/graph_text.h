// The description of a Graph as JSON text, without its weights (docs/format.md).
#pragma once
#include <string>

#include "quant/engine/graph.h"

namespace octet::engine {

/// Equal graphs give equal text. Throws Error on text that is not UTF-8 or is longer than a reader takes.
std::string write_graph_text(const Graph& graph);
/// Strict: every key known, there and once, whole numbers where they belong, a few levels of nesting, few enough nodes. What
/// the numbers mean is for validate() to check. Weights and their vectors stay empty. Throws Error, one line.
Graph read_graph_text(const std::string& text);

}  // namespace octet::engine
