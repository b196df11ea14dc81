// What the training-time model hands its layers, as codes, beside the simulator's.
#include <gtest/gtest.h>

#include <algorithm>

#include "nn/models.h"
#include "quant/analysis/compare.h"
#include "quant/analysis/layer_codes.h"
#include "quant/deployment/simulator.h"
#include "random_net.h"

namespace octet::quant::test {
namespace {

std::vector<std::string> names_of(const nn::Module& model) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.state()) names.push_back(name);
  return names;
}

TEST(LayerCodes, AreTheSimulatorsButForRoundings) {
  for (Scheme scheme : {Scheme::octet, Scheme::paddle, Scheme::tensorrt})
    for (const auto& model : {nn::mobilenet_v1({.classes = 10, .scale = 0.25}), nn::small_resnet({})}) {
      SCOPED_TRACE(fmt::format("{} {}", name_of(scheme), model->kind()));
      QuantConfig config;
      config.scheme = scheme;
      const RandomNet net{model, {4, 32, 32, 3}};
      prepare_and_show(net, config, 1);
      model->eval();
      const auto before = names_of(*model);
      const Tensor pictures = random_pictures(net.shape, 5);
      NamedTensors seen, simulated;
      const Tensor logits = LayerCodes(*model, net.shape, config).run(pictures, seen);
      Simulator(*model, net.shape, config).run(pictures, &simulated);
      EXPECT_EQ(names_of(*model), before) << "slots are as they were";
      EXPECT_EQ(logits.shape(), Shape({4, 10}));
      std::erase_if(simulated, [&](const auto& value) {
        return std::none_of(seen.begin(), seen.end(), [&](const auto& s) { return s.first == value.first; });
      });
      const CodeMismatches apart = code_mismatches(simulated, seen);
      EXPECT_GE(apart.layers.size(), 8u);
      EXPECT_EQ(apart.layers[0].differing, 0) << "the picture's own codes";
      std::int64_t elements = 0;
      for (const LayerMismatch& layer : apart.layers) elements += layer.elements;
      EXPECT_LE(apart.total(), elements / 50) << apart.str();
    }
}

TEST(LayerCodes, MismatchesKnowTheLargest) {
  const NamedTensors a{{"x", Tensor::from<std::uint8_t>({3}, std::vector<std::uint8_t>{1, 250, 3})}},
      b{{"x", Tensor::from<std::uint8_t>({3}, std::vector<std::uint8_t>{3, 0, 3})}};
  CodeMismatches sum = code_mismatches(a, a);
  sum.add(code_mismatches(a, b));
  EXPECT_EQ(sum.layers[0].differing, 2);
  EXPECT_EQ(sum.layers[0].largest, 250);
}

}  // namespace
}  // namespace octet::quant::test
