// conv_bn_act(): the fused form against the decomposed one, bit for bit in f32; in integers against its exact value.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/bf16.h"
#include "core/cpu_features.h"
#include "core/profile_data.h"
#include "core/random.h"
#include "gradcheck.h"
#include "tests/support/expect_error.h"
#include "tests/support/fusion_form.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using ops::Activation;
using ops::Deferred;
using ops::Fusion;

struct Form : FusionForm {
  explicit Form(Fusion fusion, const char* rows = kReferenceConvBnRows) : FusionForm(fusion, rows) {}
};

struct Case {
  std::string name;
  std::int64_t n, h, w, c, k, window, stride, pad;
  bool depthwise, affine;
  Activation act;
  std::optional<QuantParams> quant;
  bool masked, training;
};

QuantParams grid_of(float scale, int zero_point, int lo, int hi) {
  QuantParams grid;
  grid.scale = {scale}, grid.zero_point = zero_point, grid.lo = lo, grid.hi = hi;
  return grid;
}

std::vector<Case> cases() {
  const QuantParams u8 = grid_of(0.011f, 0, 0, 255), s8 = grid_of(0.02f, 0, -128, 127),
                    offset = grid_of(0.013f, 90, 0, 255);
  return {
      {"plain 1x1", 2, 5, 4, 6, 9, 1, 1, 0, false, false, Activation::none, {}, true, true},
      {"mapped 1x1", 3, 4, 5, 33, 17, 1, 1, 0, false, true, Activation::relu, {}, true, true},
      {"mapped 1x1 relu6 evaluation", 2, 3, 3, 8, 16, 1, 1, 0, false, true, Activation::relu6, {}, true, false},
      {"mapped 1x1 no activation, stride 2", 2, 7, 5, 8, 12, 1, 2, 0, false, true, Activation::none, {}, true, true},
      {"relu alone 1x1", 2, 4, 4, 8, 8, 1, 1, 0, false, false, Activation::relu, {}, true, true},
      {"quantized 1x1", 2, 4, 4, 32, 16, 1, 1, 0, false, true, Activation::relu, u8, true, true},
      {"quantized signed unmasked 1x1", 2, 4, 4, 7, 16, 1, 1, 0, false, true, Activation::none, s8, false, true},
      {"quantized with offset 1x1", 2, 4, 4, 16, 5, 1, 1, 0, false, true, Activation::none, offset, true, false},
      {"stem 3x3", 2, 8, 7, 3, 10, 3, 2, 1, false, false, Activation::none, s8, true, true},
      {"mapped 3x3", 2, 6, 6, 4, 8, 3, 1, 1, false, true, Activation::relu, {}, true, true},
      {"depthwise", 2, 8, 8, 16, 16, 3, 1, 1, true, true, Activation::relu, {}, true, true},
      {"depthwise stride 2", 4, 7, 9, 19, 19, 3, 2, 1, true, true, Activation::relu6, {}, true, true},
      {"depthwise quantized", 2, 4, 4, 32, 32, 3, 1, 1, true, true, Activation::relu, u8, true, true},
      {"depthwise offset evaluation", 2, 5, 5, 8, 8, 3, 2, 1, true, true, Activation::none, offset, true, false},
      {"depthwise 1x1 map", 5, 1, 1, 40, 40, 3, 1, 1, true, true, Activation::relu, {}, true, true},
  };
}

ops::BatchNormState fresh_state(std::int64_t c) {
  ops::BatchNormState state;
  state.running_mean = random_f32({c}, 21), state.running_var = random_f32({c}, 22, 0.5, 2);
  return state;
}

using Named = std::vector<std::pair<std::string, Tensor>>;

void expect_same(const Named& a, const Named& b, const std::string& where) {
  ASSERT_EQ(a.size(), b.size()) << where;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].second.defined(), b[i].second.defined()) << where << ": " << a[i].first;
    if (!a[i].second.defined()) continue;
    EXPECT_TRUE(same_bits(a[i].second, b[i].second)) << where << ": " << a[i].first;
  }
}

/// One layer on leaves {z, affine, weight, gamma, beta}: everything that it computes.
Named run_layer(const Case& p, Fusion fusion, const char* rows, const char* expected_op) {
  const Form form(fusion, rows);
  Deferred src;
  src.z = Variable(random_f32({p.n, p.h, p.w, p.c}, 1, -3, 3), true);
  if (p.affine) src.affine = Variable(random_f32({2, p.c}, 2, -1.5, 1.5), true);
  src.act = p.act, src.quant = p.quant, src.masked = p.masked;
  const Shape shape = p.depthwise ? Shape{p.c, p.window, p.window, 1} : Shape{p.k, p.window, p.window, p.c};
  Variable weight(random_f32(shape, 3), true), gamma(random_f32({p.k}, 4, -1, 2), true),
      beta(random_f32({p.k}, 5), true);
  ops::BatchNormState state = fresh_state(p.k);
  ops::ConvBnActArgs args;
  args.conv = {p.stride, p.stride, p.pad, p.pad};
  args.depthwise = p.depthwise, args.training = p.training, args.act = Activation::relu;
  const Deferred dst = ops::conv_bn_act(src, weight, gamma, beta, state, args);
  if (expected_op != nullptr) {
    EXPECT_EQ(dst.z.node()->op, expected_op) << p.name;
  }
  const Variable y = ops::materialise(dst);
  y.backward(random_f32(y.shape(), 6));
  return {{"z", dst.z.value()},
          {"affine", dst.affine.value()},
          {"y", y.value()},
          {"d_z", src.z.grad()},
          {"d_affine", p.affine ? src.affine.grad() : Tensor()},
          {"d_weight", weight.grad()},
          {"d_gamma", gamma.grad()},
          {"d_beta", beta.grad()},
          {"running_mean", state.running_mean},
          {"running_var", state.running_var}};
}

TEST(ConvBnAct, FusedEqualsDecomposedBitForBit) {
  for (const Case& p : cases()) {
    const Named decomposed = run_layer(p, Fusion::off, "", p.depthwise ? "dwconv2d" : "conv2d");
    const char* fused = p.depthwise ? "dwconv2d_bn" : "conv2d_bn";
    expect_same(run_layer(p, Fusion::floats, kReferenceConvBnRows, fused), decomposed, p.name + ", reference rows");
    expect_same(run_layer(p, Fusion::floats, "", nullptr), decomposed, p.name + ", selected rows");
  }
}

/// Stem, depthwise (stride 2), 1x1, depthwise, 1x1, as MobileNet has them; `reads` of the last result.
struct Chain {
  std::vector<Variable> leaves;
  std::vector<ops::BatchNormState> states;
  Variable x;
  bool training = true;

  explicit Chain(std::int64_t pixels = 8) : x(random_f32({4, pixels, pixels, 3}, 50), true) {
    std::uint64_t seed = 60;
    for (const Shape& w :
         {Shape{8, 3, 3, 3}, Shape{8, 3, 3, 1}, Shape{16, 1, 1, 8}, Shape{16, 3, 3, 1}, Shape{12, 1, 1, 16}}) {
      leaves.emplace_back(random_f32(w, seed++), true);
      leaves.emplace_back(random_f32({w[0]}, seed++, -0.5, 1.5), true);
      leaves.emplace_back(random_f32({w[0]}, seed++), true);
      states.push_back(fresh_state(w[0]));
    }
  }
  Deferred layer(const Deferred& src, std::size_t i) {
    const Variable* p = &leaves[3 * i];
    const Shape& w = p[0].shape();
    ops::ConvBnActArgs args;
    args.depthwise = w[3] == 1;
    const std::int64_t stride = i == 1 ? 2 : 1, pad = w[1] / 2;
    args.conv = {stride, stride, pad, pad};
    args.training = training, args.act = i == 2 ? Activation::relu6 : Activation::relu;
    return ops::conv_bn_act(src, p[0], p[1], p[2], states[i], args);
  }
  Deferred through(std::size_t first, std::size_t last, Deferred x) {
    for (std::size_t i = first; i < last; ++i) x = layer(x, i);
    return x;
  }
  Deferred start() const {
    Deferred d;
    d.z = x;
    return d;
  }
  Named results(const Variable& y) const {
    Named all{{"y", y.value()}, {"d_x", x.grad()}};
    for (std::size_t i = 0; i < leaves.size(); ++i) all.emplace_back("d leaf " + std::to_string(i), leaves[i].grad());
    for (const auto& state : states)
      all.emplace_back("mean", state.running_mean), all.emplace_back("var", state.running_var);
    return all;
  }
};

void expect_chains_agree(const std::function<Variable(Chain&)>& run, const std::string& where, bool training = true) {
  const auto in_form = [&](Fusion fusion, const char* rows) {
    const Form form(fusion, rows);
    Chain chain;
    chain.training = training;
    const Variable y = run(chain);
    return chain.results(y);
  };
  const Named decomposed = in_form(Fusion::off, "");
  expect_same(in_form(Fusion::floats, kReferenceConvBnRows), decomposed, where + ", reference rows");
  expect_same(in_form(Fusion::floats, ""), decomposed, where + ", selected rows");
}

TEST(ConvBnAct, AChainOfLayers) {
  for (const bool training : {true, false})
    expect_chains_agree(
        [](Chain& chain) {
          const Variable y = ops::materialise(chain.through(0, 5, chain.start()));
          y.backward(random_f32(y.shape(), 9));
          return y;
        },
        training ? "training" : "evaluation", training);
}

TEST(ConvBnAct, GradientsOfTwoBackwardPassesAddUp) {
  expect_chains_agree(
      [](Chain& chain) {
        for (int pass = 0; pass < 2; ++pass) {
          const Variable y = ops::materialise(chain.through(0, 5, chain.start()));
          y.backward(random_f32(y.shape(), 9));
        }
        return ops::materialise(chain.through(0, 5, chain.start()));
      },
      "two passes");
}

// A residual net: the result of layer 2 goes on as it is, and is added to what comes out behind.
TEST(ConvBnAct, ASecondConsumerMaterialises) {
  expect_chains_agree(
      [](Chain& chain) {
        const Variable trunk = ops::materialise(chain.through(0, 3, chain.start()));
        Deferred again;
        again.z = trunk;
        const Variable y = ops::add(ops::materialise(chain.layer(again, 3)), trunk);
        y.backward(random_f32(y.shape(), 9));
        return y;
      },
      "residual");
}

// Gradients reach z three times: from a fused consumer, from another that materialises, and from a direct reader.
TEST(ConvBnAct, SeveralConsumersOfOneDeferred) {
  const auto gradients = [](Fusion fusion) {
    const Form form(fusion);
    Chain chain;
    const Deferred trunk = chain.through(0, 3, chain.start());
    const Variable y = ops::add(ops::materialise(chain.layer(trunk, 3)), ops::add(ops::materialise(trunk), trunk.z));
    y.backward(random_f32(y.shape(), 9));
    return chain.results(y);
  };
  const Named fused = gradients(Fusion::floats), decomposed = gradients(Fusion::off);
  for (std::size_t i = 0; i < fused.size(); ++i)  // three summands in another order
    for (std::int64_t j = 0; fused[i].second.defined() && j < fused[i].second.numel(); ++j)
      EXPECT_NEAR(fused[i].second.at(j), decomposed[i].second.at(j), 1e-3 * (1 + std::fabs(decomposed[i].second.at(j))))
          << fused[i].first;
}

// Whoever reads the affine alone, or takes z and affine apart, still gets whole gradients.
TEST(ConvBnAct, TheAffineAloneGivesGradientsToTheConvolution) {
  expect_chains_agree(
      [](Chain& chain) {
        const Variable affine = chain.through(0, 3, chain.start()).affine;
        affine.backward(random_f32(affine.shape(), 9));
        return affine;
      },
      "affine alone");
  expect_chains_agree(
      [](Chain& chain) {
        const Deferred d = chain.through(0, 3, chain.start());
        const Variable y = ops::affine_act(d.z, d.affine, d.act);
        y.backward(random_f32(y.shape(), 9));
        return y;
      },
      "taken apart");
  expect_chains_agree(
      [](Chain& chain) {
        const Deferred d = chain.through(0, 3, chain.start());
        const Deferred dropped = chain.layer(d, 3);  // a consumer that the backward pass never sees
        d.affine.backward(random_f32(d.affine.shape(), 9));
        return d.affine;
      },
      "a consumer that nobody reads");
}

// The bits would be the same with passes of their own for statistics and their gradient: the profile tells.
TEST(ConvBnAct, NoPassOfBatchNormIsLeft) {
  const auto passes = [](Fusion fusion, bool apart) {
    const Form form(fusion);
    Chain chain;
    profile::start();
    const Deferred last = chain.through(0, 5, chain.start());
    const Variable y = apart ? ops::affine_act(last.z, last.affine, last.act) : ops::materialise(last);
    y.backward(random_f32(y.shape(), 9));
    profile::stop();
    std::set<std::string> names;
    for (const profile::Total& total : profile::totals())
      if (total.kind == profile::Kind::kernel) names.insert(total.name);
    return names;
  };
  using Names = std::set<std::string>;
  const Names fused{"conv2d_bn_fwd",        "conv2d_bn_bwd",       "dwconv2d_bn_fwd",
                    "dwconv2d_bn_bwd",      "affine_act_fwd",      "affine_act_bwd",
                    "batchnorm_affine_fwd", "batchnorm_affine_bwd"};  // the last two: numbers per channel only
  EXPECT_EQ(passes(Fusion::integers, false), fused);
  Names with_pass = fused;
  with_pass.insert("channel_fma_fwd");
  EXPECT_EQ(passes(Fusion::integers, true), with_pass);
  EXPECT_TRUE(passes(Fusion::off, false).contains("batchnorm_stats"));
}

TEST(ConvBnAct, FrozenLeavesGetNoGradient) {
  for (const Fusion fusion : {Fusion::off, Fusion::floats}) {
    const Form form(fusion);
    Deferred src;
    src.z = Variable(random_f32({2, 4, 4, 3}, 1));
    Variable weight(random_f32({5, 1, 1, 3}, 2)), gamma(Tensor::full({5}, 1), true), beta(Tensor::zeros({5}), true);
    src.affine = Variable(random_f32({2, 3}, 3), true);
    ops::BatchNormState state = fresh_state(5);
    ops::ConvBnActArgs args;
    args.training = true;
    const Variable y = ops::materialise(ops::conv_bn_act(src, weight, gamma, beta, state, args));
    y.backward(random_f32(y.shape(), 4));
    EXPECT_FALSE(src.z.grad().defined());
    EXPECT_FALSE(weight.grad().defined());
    EXPECT_TRUE(src.affine.grad().defined());
  }
}

TEST(ConvBnAct, RecordsTheDecomposedForm) {
  const Form form(Fusion::integers);
  Chain chain;
  const RecordGuard record_all;
  const Deferred d = chain.layer(chain.start(), 0);
  EXPECT_EQ(d.z.node()->op, "conv2d");
  EXPECT_EQ(d.affine.node()->op, "batchnorm_affine");
}

TEST(ConvBnAct, AForcedVendorRowIsHonoured) {
  const Form form(Fusion::integers, "conv2d_fwd:onednn");
  Chain chain;
  EXPECT_EQ(chain.layer(chain.start(), 0).z.node()->op, "conv2d");
}

struct Ends {
  float low = 0, high = 0;
};
struct Extremes {
  Ends range;
  Tensor y;
};
Extremes extremes_of(Activation act, float special) {
  const Form form(Fusion::integers);
  Deferred src;
  Tensor x = random_f32({2, 3, 3, 4}, 1, -2, 2);
  if (special != 0) x.data<float>()[17] = special;
  src.z = Variable(x);
  Variable weight(random_f32({6, 1, 1, 4}, 2)), gamma(random_f32({6}, 3, -1, 1)), beta(random_f32({6}, 4));
  ops::BatchNormState state = fresh_state(6);
  ops::ConvBnActArgs args;
  args.act = act, args.wants_range = true;
  const Deferred d = ops::conv_bn_act(src, weight, gamma, beta, state, args);
  const Tensor range = ops::range_of(d);
  return {{range.data<float>()[0], range.data<float>()[1]}, ops::materialise(d).value()};
}

TEST(RangeOf, IsExact) {
  for (const Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
    const auto [range, y] = extremes_of(act, 0);
    const auto all = y.span<float>();
    EXPECT_EQ(range.low, *std::min_element(all.begin(), all.end()));
    EXPECT_EQ(range.high, *std::max_element(all.begin(), all.end()));
  }
}

TEST(RangeOf, NaNSurvives) {
  const Ends range = extremes_of(Activation::relu, std::nanf("")).range;
  EXPECT_TRUE(std::isnan(range.low) && std::isnan(range.high));
  EXPECT_EQ(extremes_of(Activation::none, std::numeric_limits<float>::infinity()).range.high,
            std::numeric_limits<float>::infinity());
}

TEST(RangeOf, IsNotKnownUnlessAskedFor) {
  const Form form(Fusion::integers);
  Chain chain;
  EXPECT_FALSE(ops::range_of(chain.layer(chain.start(), 0)).defined());
  EXPECT_FALSE(ops::range_of(chain.start()).defined());
}

/// A quantized 1x1 convolution with its weight in codes.
struct IntegerLayer {
  Deferred src;
  Variable weight;
  ops::ConvBnActArgs args;
  ops::BatchNormState state;
  Variable gamma, beta;

  IntegerLayer(const QuantParams& grid, std::int64_t c, std::int64_t k, bool per_channel) {
    src.z = Variable(random_f32({2, 3, 4, c}, 1, -3, 3), true);
    src.affine = Variable(random_f32({2, c}, 2, -1, 1), true);
    src.act = grid.lo < 0 ? Activation::none : Activation::relu, src.quant = grid;
    ops::WeightCodes codes{Tensor(Shape{k, 1, 1, c}, DType::s8), grid_of(0.03f, 0, -127, 127)};
    Random random(3, Purpose::test);
    for (std::int8_t& q : codes.codes.span<std::int8_t>()) q = static_cast<std::int8_t>(random.uniform(-128, 128));
    if (per_channel) codes.params.axis = 0, codes.params.scale.clear();
    for (std::int64_t i = 0; per_channel && i < k; ++i)
      codes.params.scale.push_back(0.01f + 0.003f * static_cast<float>(i));
    Tensor values(codes.codes.shape());
    for (std::int64_t i = 0; i < values.numel(); ++i)
      values.data<float>()[i] = codes.codes.data<std::int8_t>()[i] * step(codes, i / c);
    weight = Variable(values, true);
    gamma = Variable(random_f32({k}, 4), true), beta = Variable(random_f32({k}, 5), true);
    state = fresh_state(k);
    args.weight_codes = codes;
  }
  static float step(const ops::WeightCodes& codes, std::int64_t k) {
    const auto& scale = codes.params.scale;
    return scale[scale.size() == 1 ? 0 : static_cast<std::size_t>(k)];
  }
  Deferred run(Fusion fusion, const char* rows) {
    const Form form(fusion, rows);
    return ops::conv_bn_act(src, weight, gamma, beta, state, args);
  }
  /// float(Σ (q_x − zero point)·q_w) · fl(step of x · step of the weight), from the materialised source.
  Tensor exact() const {
    const Tensor x = ops::materialise({src.z, src.affine, src.act}).value();
    const std::int64_t c = x.shape()[3], k = weight.shape()[0];
    std::vector<float> all;
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t y = 0; y < 3; ++y)
        for (std::int64_t i = 0; i < 4; ++i)
          for (std::int64_t f = 0; f < k; ++f) {
            std::int64_t sum = 0;
            for (std::int64_t j = 0; j < c; ++j) {
              const float value = x.data<float>()[((n * 3 + y) * 4 + i) * c + j];
              sum += (src.quant->quantize(value) - src.quant->zero_point) *
                     args.weight_codes->codes.data<std::int8_t>()[f * c + j];
            }
            all.push_back(static_cast<float>(sum) * (src.quant->step() * step(*args.weight_codes, f)));
          }
    return Tensor::from(Shape{2, 3, 4, k}, all);
  }
};

TEST(IntegerForward, IsTheExactSumTimesOneFactor) {
  for (const QuantParams& grid : {grid_of(0.013f, 0, 0, 255), grid_of(0.02f, 0, -128, 127),
                                  grid_of(0.021f, 101, 0, 255), grid_of(0.2f, 0, 0, 15)})
    for (const bool per_channel : {false, true})
      for (const auto& [c, k] : {std::pair{5, 3}, {64, 48}, {96, 33}})
        for (const char* rows : {kReferenceConvBnRows, ""}) {
          IntegerLayer layer(grid, c, k, per_channel);
          EXPECT_TRUE(same_bits(layer.run(Fusion::integers, rows).z.value(), layer.exact()))
              << grid.str() << " " << c << " to " << k << " rows '" << rows << "'";
        }
}

// Each float sum of K products is within K·ε/2·Σ|products| of the exact one.
TEST(IntegerForward, StaysWithinRoundingOfTheFloatForm) {
  IntegerLayer layer(grid_of(0.013f, 0, 0, 255), 96, 20, true);
  const Tensor integers = layer.run(Fusion::integers, kReferenceConvBnRows).z.value();
  const Tensor floats = layer.run(Fusion::floats, kReferenceConvBnRows).z.value();
  EXPECT_FALSE(same_bits(integers, floats));
  IntegerLayer magnitudes(grid_of(0.013f, 0, 0, 255), 96, 20, true);
  for (float& w : magnitudes.weight.value().span<float>()) w = std::fabs(w);
  const Tensor bound = magnitudes.run(Fusion::floats, kReferenceConvBnRows).z.value();
  for (std::int64_t i = 0; i < floats.numel(); ++i)
    EXPECT_NEAR(integers.at(i), floats.at(i), 96 * std::numeric_limits<float>::epsilon() * bound.at(i)) << i;
}

// In evaluation z takes no part in the backward pass: it is that of the floats.
TEST(IntegerForward, BackwardIsThatOfTheFloats) {
  const auto gradients = [](Fusion fusion) {
    IntegerLayer layer(grid_of(0.013f, 0, 0, 255), 24, 20, true);
    const Variable z = layer.run(fusion, kReferenceConvBnRows).z;
    z.backward(random_f32(z.shape(), 6));
    return Named{{"d_z", layer.src.z.grad()}, {"d_affine", layer.src.affine.grad()}, {"d_weight", layer.weight.grad()}};
  };
  expect_same(gradients(Fusion::integers), gradients(Fusion::floats), "integer forward");
  expect_same(gradients(Fusion::integers), gradients(Fusion::off), "integer forward, decomposed");
}

TEST(IntegerForward, SumsThatMayOverflowStayInFloats) {
  IntegerLayer fits(grid_of(0.013f, 0, 0, 255), 66311, 1, true), overflows(grid_of(0.013f, 0, 0, 255), 66312, 1, true);
  const auto in_floats = [](IntegerLayer& layer) {
    return same_bits(layer.run(Fusion::integers, kReferenceConvBnRows).z.value(),
                     layer.run(Fusion::floats, kReferenceConvBnRows).z.value());
  };
  EXPECT_FALSE(in_floats(fits));
  EXPECT_TRUE(in_floats(overflows));
}

TEST(IntegerForward, WeightCodesMustFit) {
  IntegerLayer layer(grid_of(0.013f, 0, 0, 255), 8, 4, true);
  layer.args.weight_codes->params.zero_point = 1;
  EXPECT_ERROR(layer.run(Fusion::integers, kReferenceConvBnRows), "weight codes must be symmetric");
  layer.args.weight_codes->params.zero_point = 0;
  layer.args.weight_codes->params.scale.pop_back();
  EXPECT_ERROR(layer.run(Fusion::integers, kReferenceConvBnRows), "one per filter");
  layer.args.weight_codes->codes = Tensor(Shape{4, 1, 1, 9}, DType::s8);
  EXPECT_ERROR(layer.run(Fusion::integers, kReferenceConvBnRows), "weight codes must be s8 4x1x1x8");
}

/// Operands in bf16 for one scope.
class Bf16 {
 public:
  Bf16() { ops::set_precision(ops::Precision::bf16); }
  ~Bf16() { ops::set_precision(ops::Precision::f32); }
};

TEST(Precision, Bf16RoundsOperandsWhileTraining) {
  if (!can_dot_bf16()) GTEST_SKIP() << "no dot product of bf16 here";
  const Case layer{"mapped 1x1", 3, 4, 5, 32, 16, 1, 1, 0, false, true, Activation::relu, {}, true, true};
  const Named exact = run_layer(layer, Fusion::integers, "", nullptr);
  const Bf16 bf16;
  const Named half = run_layer(layer, Fusion::integers, "", nullptr);
  const Tensor &z = exact[0].second, &rounded = half[0].second;
  EXPECT_FALSE(same_bits(z, rounded));
  // 32 products of factors within 4.5 and 1, each rounded to 2^-8 of itself.
  for (std::int64_t i = 0; i < z.numel(); ++i) EXPECT_NEAR(z.at(i), rounded.at(i), 32 * 4.5 / 128) << i;
  // Without gradients nothing is rounded.
  const NoGrad no_grad;
  Variable x(random_f32({2, 3, 3, 8}, 1)), weight(random_f32({4, 1, 1, 8}, 2)), one(Tensor::full({4}, 1)),
      zero(Tensor::zeros({4}));
  ops::BatchNormState state = fresh_state(4);
  Deferred src;
  src.z = x;
  const Tensor with = ops::conv_bn_act(src, weight, one, zero, state, {}).z.value();
  ops::set_precision(ops::Precision::f32);
  EXPECT_TRUE(same_bits(with, ops::conv_bn_act(src, weight, one, zero, state, {}).z.value()));
}

TEST(Precision, Bf16NeedsTheProcessor) {
  if (can_dot_bf16() || usable_isa() == Isa::reference) GTEST_SKIP() << "this processor has it";
  EXPECT_ERROR(ops::set_precision(ops::Precision::bf16), "no dot product of bf16");
}

TEST(ConvBnAct, RefusesWhatDoesNotFit) {
  for (const Fusion fusion : {Fusion::off, Fusion::integers}) {
    const Form form(fusion);
    Chain chain;
    Deferred src = chain.start();
    src.affine = Variable(random_f32({2, 4}, 1));
    EXPECT_ERROR(chain.layer(src, 0), "affine must have shape 2x3, it has 2x4");
    src = chain.start();
    src.quant = grid_of(0, 0, 0, 255);
    EXPECT_ERROR(chain.layer(src, 0), "scale 0 is 0");
    src.quant = grid_of(1, 300, 0, 255);
    EXPECT_ERROR(chain.layer(src, 0), "are no grid");
    EXPECT_ERROR(chain.layer(chain.start(), 2), "src has 3 channels, weight expects 8");
    EXPECT_ERROR(chain.layer({}, 0), "conv_bn_act");
    chain.states[0] = fresh_state(5);
    EXPECT_ERROR(chain.layer(chain.start(), 0), "running statistics are f32 5");
  }
  EXPECT_EQ(ops::fusion(), Fusion::integers);
}

}  // namespace
}  // namespace octet::test
