// Scheme paddle's quantizers against PaddlePaddle's and PACT against PaddleSlim's, bit for bit.
#include <gtest/gtest.h>

#include <memory>

#include "ops/ops.h"
#include "quant/observers/observer.h"
#include "quant/quantizers/fake_quantizer.h"
#include "tests/golden/golden.h"

namespace octet::test {
namespace {

const TensorFile& file() { return golden("paddle_quantizers.safetensors"); }

quant::Grid paddle_grid(int bits) {
  quant::Grid grid;
  grid.bits = bits;
  grid.narrow = true;
  grid.rule = QuantRule::paddle;
  return grid;
}

Tensor row(const Tensor& rows, std::int64_t i) {
  const Tensor one = rows.slice(i, i + 1);
  return one.reshape({one.numel()});
}

struct Result {
  Tensor y, d_x;
};
template <class F>
Result differentiate(const F& f, const Tensor& x, const Tensor& d_y) {
  Variable src(x.clone(), true);
  Variable dst = f(src);
  const Tensor y = dst.value().clone();
  dst.backward(d_y);
  return {y, src.grad()};
}

TEST(GoldenQuantizers, AbsMaxPerTensor) {
  for (const int bits : {8, 4, 2}) {
    const std::string at = "abs_max/b" + std::to_string(bits);
    const Tensor &x = file().get(at + "/x"), &scale = file().get(at + "/scale");
    for (std::int64_t i = 0; i < x.shape()[0]; ++i) {
      const std::string what = at + " row " + std::to_string(i);
      EXPECT_EQ(quant::values_of(quant::abs_max(row(x, i), 1))[0], scale.at(i)) << what;
      QuantParams params = paddle_grid(bits).bounds();
      params.scale = {static_cast<float>(scale.at(i))};
      const auto made = differentiate([&](const Variable& v) { return ops::fake_quant(v, params, false); }, row(x, i),
                                      row(file().get(at + "/d_y"), i));
      expect_same(made.y, row(file().get(at + "/y"), i), what);
      expect_same(made.d_x, row(file().get(at + "/d_x"), i), what + " d_x");
    }
  }
}

TEST(GoldenQuantizers, ChannelWiseAbsMax) {
  for (const char* kind : {"conv", "linear"}) {
    for (const int bits : {8, 4, 2}) {
      const std::string at = std::string("channel_wise/") + kind + "_b" + std::to_string(bits);
      const Tensor& x = file().get(at + "/x");
      QuantParams params = paddle_grid(bits).bounds();
      params.scale = quant::values_of(quant::abs_max(x, x.shape()[0]));
      params.axis = 0;
      expect_same(Tensor::from({12}, params.scale), file().get(at + "/scale"), at + " scale");
      const auto made = differentiate([&](const Variable& v) { return ops::fake_quant(v, params, false); }, x,
                                      file().get(at + "/d_y"));
      expect_same(made.y, file().get(at + "/y"), at);
      expect_same(made.d_x, file().get(at + "/d_x"), at + " d_x");
    }
  }
}

TEST(GoldenQuantizers, WeightQuantizer) {
  for (const int bits : {8, 4, 2}) {
    const std::string at = "channel_wise/conv_b" + std::to_string(bits);
    quant::WeightQuantizer quantizer(paddle_grid(bits), quant::WeightRange{});
    const auto made = differentiate([&](const Variable& v) { return quantizer.apply(v); }, file().get(at + "/x"),
                                    file().get(at + "/d_y"));
    for (std::int64_t c = 0; c < 12; ++c) {
      if (c == 1) continue;  // threshold 3e-20, below the least that Octet's quantizers take
      expect_same(row(made.y, c), row(file().get(at + "/y"), c), at + " channel " + std::to_string(c));
    }
    expect_same(made.d_x, file().get(at + "/d_x"), at + " d_x");
  }
}

TEST(GoldenQuantizers, MovingAverageAbsMax) {
  for (const auto& [bits, rate, name] :
       {std::tuple{8, 0.9, "b8_r0.9"}, {4, 0.9, "b4_r0.9"}, {2, 0.9, "b2_r0.9"}, {8, 0.5, "b8_r0.5"}}) {
    const std::string at = std::string("moving_average/") + name;
    const auto stored = [&](const char* key, std::int64_t i) { return row(file().get(at + "/" + key), i); };
    auto observer = std::make_shared<quant::PaddleMovingAverageObserver>(rate);
    quant::ActivationQuantizer quantizer(paddle_grid(bits), observer);
    for (std::int64_t i = 0; i < 6; ++i) {
      const std::string what = at + " batch " + std::to_string(i);
      quantizer.train();
      const auto made =
          differentiate([&](const Variable& v) { return quantizer.apply(v); }, stored("x", i), stored("d_y", i));
      ASSERT_TRUE(quantizer.params().has_value());
      EXPECT_EQ(quantizer.params()->scale[0], stored("scale", i).item()) << what;
      expect_same(made.y, stored("y", i), what);
      expect_same(made.d_x, stored("d_x", i), what + " d_x");
      quantizer.eval();
      expect_same(quantizer.apply(Variable(stored("eval_x", i))).value(), stored("eval_y", i), what + " evaluation");
      EXPECT_EQ(quantizer.params()->scale[0], stored("scale", i).item()) << what << ": evaluation moved the scale";
    }
  }
}

TEST(GoldenQuantizers, Pact) {
  for (const char* name : {"alpha100", "alpha1", "alpha0.25", "alpha6"}) {
    const std::string at = std::string("pact/") + name;
    Variable alpha(file().get(at + "/alpha").clone(), true);
    const auto made = differentiate([&](const Variable& v) { return ops::pact(v, alpha); }, file().get(at + "/x"),
                                    file().get(at + "/d_y"));
    expect_same(made.y, file().get(at + "/y"), at);
    expect_same(made.d_x, file().get(at + "/d_x"), at + " d_x");
    EXPECT_NEAR(alpha.grad().item(), file().get(at + "/d_alpha").item(), 1e-5) << at;
  }
}

}  // namespace
}  // namespace octet::test
