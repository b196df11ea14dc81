// The simulator against the engine, on a net that has quantizers and has seen data.
#pragma once
#include "quant/analysis/compare.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"

namespace octet::quant::test {

/// Codes of both for these pictures, value by value.
inline CodeMismatches executor_mismatches(nn::Module& model, const Shape& shape, const QuantConfig& config,
                                          const Tensor& pictures) {
  NamedTensors simulated, deployed;
  Simulator(model, shape, config).run(pictures, &simulated);
  engine::Engine(convert(model, shape, config)).run(pictures, &deployed);
  return code_mismatches(simulated, deployed);
}

}  // namespace octet::quant::test
