// What fake_quant and quantize are run on: activations per tensor, and weights per output channel.
#pragma once
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"
#include "kernels/fake_quant/fake_quant.h"

namespace octet::bench {

struct QuantCase {
  std::string shape;  ///< "16x16x32/b256", or "weight_pw1"
  kernels::FakeQuantProblem problem;
  std::int64_t count() const { return problem.channels * problem.inner; }
};

/// Every map per tensor (u8, zero point 0, as behind a ReLU), then the dense layers' weights per channel (s8).
inline std::vector<QuantCase> quant_cases(std::int64_t batch) {
  std::vector<QuantCase> cases;
  for (const Map& map : network().maps)
    cases.push_back({map.name + "/b" + std::to_string(batch), {1, map.pixels(batch) * map.c, 0, 0, 255}});
  for (const Layer& layer : layers_of(LayerKind::conv, 1)) {
    const kernels::ConvGeometry& g = layer.geometry;
    cases.push_back({"weight_" + layer.name, {g.k, g.r * g.s * g.c, 0, -127, 127}});
  }
  return cases;
}

}  // namespace octet::bench
