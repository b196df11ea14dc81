// ONNX files of the engine's graphs: integers as Q/DQ pairs, or floats (docs/onnx.md).
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "quant/engine/graph.h"

namespace octet::quant {

/// What a user should know about an export.
struct OnnxReport {
  std::size_t bytes = 0;           ///< of the file
  std::vector<std::string> notes;  ///< a line each, naming the node; empty when everything is as the engine computes it
};

/// Was this build made with ONNX's libraries?
bool has_onnx();

/// Throws Error, one line with a hint, when this build has no ONNX or no profile for the graph's scheme: "octet", "tensorrt" and
/// "float" have one. Cheap: to be asked before long work.
void require_onnx_profile(const std::string& scheme);

/// Writes `graph` as one file, opset 13: input `image` f32 [N,C,H,W] with any N, output `logits` f32 [N,classes]. Runs
/// engine::validate() and ONNX's own checker and shape inference first; writes atomically; equal graphs give equal bytes.
/// Throws Error as require_onnx_profile() does, and where ONNX's rules cannot say what a node computes.
OnnxReport export_onnx(const std::string& path, const engine::Graph& graph);

}  // namespace octet::quant
