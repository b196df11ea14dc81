// From a trained fp32 model to the engine's graph of floats: what own fp32 inference runs and what the fp32 ONNX file holds.
#pragma once
#include "core/shape.h"
#include "nn/module.h"
#include "quant/engine/graph.h"

namespace octet::quant {

/// Traces the model in evaluation with its transforms bypassed and folds every batch norm into the layer before it, in double:
/// weight[c] = fl(w[c]·γ/√(σ² + ε)), bias[c] = fl(b[c]·γ/√(σ² + ε) + β − μ·γ/√(σ² + ε)) (Jacob et al. 2018, eq. 14). Throws
/// Error, with a hint, on what the engine cannot run.
engine::Graph float_graph(nn::Module& model, const Shape& shape);

}  // namespace octet::quant
