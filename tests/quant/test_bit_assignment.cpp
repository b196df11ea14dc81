// Bits under a budget: against brute force, the budget kept, configurations that prepare() takes.
#include "quant/calibration/bit_assignment.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "nn/models.h"
#include "quant/calibration/bit_sensitivity.h"
#include "quant/calibration/ptq.h"
#include "quant/prepare.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::quant {
namespace {

const Shape kShape{1, 32, 32, 3};

std::vector<LayerChoices> random_layers(std::uint64_t seed, std::int64_t count, std::int64_t largest) {
  Random random(seed, Purpose::test);
  std::vector<LayerChoices> layers;
  for (std::int64_t l = 0; l < count; ++l) {
    LayerChoices layer{"l" + std::to_string(l), {}};
    const auto weights = static_cast<std::int64_t>(1 + random.below(static_cast<std::uint64_t>(largest)));
    for (const int bits : {2, 3, 4, 8})  // costs that mostly fall
      layer.choices.push_back(
          {bits, std::pow(4.0, -bits) * random.uniform(0, 9) + 1e-4 * random.uniform(), weights * bits});
    layers.push_back(std::move(layer));
  }
  return layers;
}

double least_cost(const std::vector<LayerChoices>& layers, std::int64_t budget, std::size_t from = 0) {
  if (from == layers.size()) return 0;
  double best = INFINITY;
  for (const BitChoice& choice : layers[from].choices)
    if (choice.size <= budget) best = std::min(best, choice.cost + least_cost(layers, budget - choice.size, from + 1));
  return best;
}

void expect_sums(const std::vector<LayerChoices>& layers, const BitAssignment& found, std::int64_t budget) {
  ASSERT_EQ(found.chosen.size(), layers.size());
  double cost = 0;
  std::int64_t size = 0;
  for (std::size_t l = 0; l < layers.size(); ++l)
    cost += layers[l].choices[found.chosen[l]].cost, size += layers[l].choices[found.chosen[l]].size;
  EXPECT_NEAR(found.cost, cost, 1e-9);
  EXPECT_EQ(found.size, size);
  EXPECT_LE(size, budget);
}

TEST(BitAssignment, IsTheBestOfAll) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const auto layers = random_layers(seed, 6, 100);
    std::int64_t least = 0, most = 0;
    for (const LayerChoices& layer : layers) least += layer.choices.front().size, most += layer.choices.back().size;
    for (const std::int64_t budget : {least, (3 * least + most) / 4, (least + most) / 2, most, 10 * most}) {
      const BitAssignment found = assign_bits(layers, budget);
      expect_sums(layers, found, budget);
      EXPECT_NEAR(found.cost, least_cost(layers, budget), 1e-12) << seed << ' ' << budget;
    }
    EXPECT_ERROR(assign_bits(layers, least - 1), "the smallest choices take");
  }
}

TEST(BitAssignment, ManyLayersOfManySizesKeepTheBudget) {
  const auto layers = random_layers(1, 60, 5000000);  // far more sums than are kept
  std::int64_t least = 0;
  for (const LayerChoices& layer : layers) least += layer.choices.front().size;
  double before = INFINITY;
  for (const double more : {1.0, 1.3, 2.5, 4.0}) {
    const auto budget = static_cast<std::int64_t>(more * static_cast<double>(least));
    const BitAssignment found = assign_bits(layers, budget);
    expect_sums(layers, found, budget);
    EXPECT_LE(found.cost, before);
    before = found.cost;
  }
}

TEST(BitAssignment, CornerCases) {
  EXPECT_TRUE(assign_bits({}, 0).chosen.empty());
  const LayerChoices dominated{"a", {{2, 1, 5}, {3, 1, 5}, {4, 2, 7}}};
  EXPECT_EQ(assign_bits({dominated}, 100).cost, 1);
  EXPECT_ERROR(assign_bits({{"empty", {}}}, 9), "empty has no choice");
}

class WeightChoices : public testing::Test {
 protected:
  static const data::Dataset& pictures() {
    static const data::Split split = data::load("synthetic", {48, 8});
    return split.train;
  }
  static std::vector<LayerChoices> measured(nn::Module& net, const QuantConfig& config, const std::vector<int>& bits,
                                            std::int64_t count) {
    std::vector<LayerChoices> layers = weight_choices(net, kShape, config, bits);
    std::int64_t told = 0, runs = 1;
    for (const LayerChoices& layer : layers) runs += static_cast<std::int64_t>(layer.choices.size());
    measure_costs(layers, net, config, pictures(), {.pictures = count}, [&](std::int64_t done, std::int64_t total) {
      EXPECT_EQ(done, ++told);
      EXPECT_EQ(total, runs);
    });
    EXPECT_EQ(told, runs);
    return layers;
  }
  static std::shared_ptr<nn::Module> prepared(const QuantConfig& config) {
    const auto net = nn::small_resnet({.width = 4});
    prepare(*net, kShape, config);
    calibrate(*net, pictures(), {.pictures = 16});
    return net;
  }
};

TEST_F(WeightChoices, CostsFallWithBitsAndNothingIsChanged) {
  const auto net = prepared({});
  const auto before = octet::test::state_crc(net->state());
  const Tensor x = octet::test::random_f32({4, 32, 32, 3}, 3), logits = (*net)(Variable(x)).value();
  const auto layers = measured(*net, {}, {2, 4, 8}, 32);
  ASSERT_EQ(layers.size(), 10u);
  EXPECT_EQ(layers[0].layer, "features.0.conv");
  EXPECT_EQ(layers[9].layer, "fc");
  for (const LayerChoices& layer : layers) {
    ASSERT_EQ(layer.choices.size(), 3u);
    EXPECT_GT(layer.choices[0].cost, layer.choices[1].cost) << layer.layer;
    EXPECT_GT(layer.choices[1].cost, layer.choices[2].cost) << layer.layer;
    EXPECT_EQ(layer.choices[2].size, 4 * layer.choices[0].size);
  }
  EXPECT_EQ(layers[9].choices[0].size, 2 * 16 * 10);
  EXPECT_EQ(octet::test::state_crc(net->state()), before);
  EXPECT_TRUE(octet::test::same_bits((*net)(Variable(x)).value(), logits));
}

TEST_F(WeightChoices, CostIsTheDivergenceOfThatLayersRounding) {
  QuantConfig config;
  config.layer_bits = {{"fc", 2, 0}};
  const auto net = prepared(config);
  const auto layers = measured(*net, config, {3}, 32);
  EXPECT_EQ(layers.back().choices.at(0).bits, 2) << "stated by name";
  // By hand: floats, and floats with one rounded weight.
  const auto other = nn::small_resnet({.width = 4});
  other->eval();
  std::vector<Tensor> p, q;
  const NoGrad no_grad;
  const auto run = [&](std::vector<Tensor>& to) {
    for_calibration_batches(pictures(), {.pictures = 32}, [&](const Tensor& images, std::int64_t, std::int64_t) {
      to.push_back(ops::softmax((*other)(Variable(images)).value()));
    });
  };
  run(p);
  for (const auto& [name, module] : other->named_modules())
    if (name == "fc") {
      Tensor weight = nn::weight_of(*module).value();
      for (std::int64_t k = 0; k < 10; ++k) {
        float top = 0;
        for (int i = 0; i < 16; ++i) top = std::max(top, std::fabs(weight.data<float>()[k * 16 + i]));
        for (int i = 0; i < 16; ++i)
          weight.data<float>()[k * 16 + i] = std::rint(weight.data<float>()[k * 16 + i] / top) * top;
      }
    }
  run(q);
  double sum = 0;
  for (std::size_t b = 0; b < p.size(); ++b)
    for (std::int64_t i = 0; i < p[b].numel(); ++i) sum += p[b].at(i) * std::log(p[b].at(i) / q[b].at(i));
  EXPECT_NEAR(layers.back().choices[0].cost, sum / 32, 1e-6 + 1e-3 * sum / 32);
}

TEST_F(WeightChoices, BecomeAConfigurationThatPrepareTakes) {
  QuantConfig config;
  config.first_last_bits = 8;
  config.layer_bits = {{"features.1.*", 0, 6}, {"features.2.first.conv", 5, 7}};
  const auto net = prepared(config);
  const auto layers = measured(*net, config, {2, 3, 4}, 16);
  EXPECT_EQ(layers.front().choices.size(), 1u) << "the first layer keeps its eight";
  EXPECT_EQ(layers.front().choices[0].bits, 8);
  std::int64_t weights = 0;
  for (const LayerChoices& layer : layers) weights += layer.choices[0].size / layer.choices[0].bits;
  const std::int64_t budget = weights * 7 / 2;
  const BitAssignment found = assign_bits(layers, budget);
  const QuantConfig with = parse_config(to_json(with_bits(config, layers, found)));
  const auto again = prepared(with);
  std::int64_t size = 0;
  for (std::size_t l = 0; l < layers.size(); ++l)
    for (const auto& [path, module] : again->named_modules())
      if (path == layers[l].layer) {
        const QuantParams grid = std::dynamic_pointer_cast<FakeQuantizer>(module->slot("weight_transform"))
                                     ->params_for(nn::weight_of(*module).value())
                                     .value();
        const int bits = layers[l].choices[found.chosen[l]].bits;
        EXPECT_EQ(grid.hi, (1 << (bits - 1)) - 1) << path;
        size += nn::weight_of(*module).value().numel() * bits;
        const LayerBits said = bits_of(with.layer_bits, path, 0, 0);
        const int wanted = path == "features.1.first.conv"   ? 6
                           : path == "features.2.first.conv" ? 7
                                                             : said.activation_bits;
        EXPECT_EQ(said.activation_bits, wanted) << path;
      }
  EXPECT_EQ(size, found.size);
  EXPECT_LE(size, budget);
}

TEST_F(WeightChoices, WhatCannotBe) {
  const auto net = prepared({});
  EXPECT_ERROR(weight_choices(*net, kShape, {}, {}), "no numbers of bits");
  EXPECT_ERROR(weight_choices(*net, kShape, {}, {4, 9}), "9 bits are not 2 to 8");
  EXPECT_ERROR(weight_choices(*nn::small_resnet({.width = 4}), kShape, {}, {4}), "no quantized weights ---> HINT");
  QuantConfig learned;
  learned.weight_quantize_type = WeightQuantize::lsq;
  EXPECT_ERROR(weight_choices(*net, kShape, learned, {4}), "weight_quantize_type lsq is learned by training");
  learned = {};
  learned.weight_preprocess_type = Preprocess::pact;
  EXPECT_ERROR(weight_choices(*net, kShape, learned, {4}), "weight_preprocess_type PACT is learned");
  std::vector<LayerChoices> layers = weight_choices(*net, kShape, {}, {4});
  const auto unseen = nn::small_resnet({.width = 4});
  prepare(*unseen, kShape, {});
  EXPECT_ERROR(measure_costs(layers, *unseen, {}, pictures()), "has seen no data ---> HINT");
}

}  // namespace
}  // namespace octet::quant
