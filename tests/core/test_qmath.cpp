#include "core/qmath.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/quant_params.h"
#include "core/random.h"
#include "tests/support/expect_error.h"

namespace octet {
namespace {

const float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

/// Half away from zero from the float's own integer fraction m * 2^e, without any floating-point operation.
std::int64_t round_away_exact(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const int exponent = static_cast<int>((bits >> 23) & 0xFF) - 150;
  if (exponent < -174 + 24) return 0;  // |x| < 0.5 by far
  const std::int64_t m = (bits & 0x7FFFFF) | 0x800000;
  std::int64_t magnitude = 0;
  if (exponent >= 0) {
    magnitude = m << exponent;
  } else if (exponent >= -24) {
    magnitude = (2 * m + (std::int64_t{1} << -exponent)) >> (1 - exponent);
  }
  return (bits >> 31) != 0 ? -magnitude : magnitude;
}

/// Random bit patterns of |x| < 2^31, so that every exponent occurs.
float random_float(Random& random) {
  for (;;) {
    const float x = std::bit_cast<float>(random.bits());
    if (std::abs(x) < 0x1p31f) return x;
  }
}

TEST(Qmath, round_away_is_exact) {
  Random random(1, Purpose::test);
  for (int i = 0; i < 300'000; ++i) {
    const float x = i % 2 ? random_float(random) : static_cast<float>(random.uniform(-300, 300));
    ASSERT_EQ(static_cast<std::int64_t>(qmath::round_away(x)), round_away_exact(x)) << x;
  }
  for (int k = -1000; k < 1000; ++k) {
    const float tie = static_cast<float>(k) + 0.5f;
    EXPECT_EQ(qmath::round_away(tie), k < 0 ? static_cast<float>(k) : static_cast<float>(k + 1)) << tie;
    for (float x : {std::nextafter(tie, kInf), std::nextafter(tie, -kInf)}) {
      ASSERT_EQ(static_cast<std::int64_t>(qmath::round_away(x)), round_away_exact(x)) << x;
    }
  }
  EXPECT_EQ(qmath::round_away(0.49999997f), 0);  // 0.5 - 2^-25: adding a half first would give 1
  EXPECT_EQ(qmath::round_away(8388609.0f), 8388609.0f);
  EXPECT_EQ(qmath::round_away(-0.0f), 0);
}

TEST(Qmath, onnx_rule_rounds_half_to_even) {
  for (int k = -100; k <= 100; ++k) {
    const int even = k % 2 == 0 ? k : k + 1;
    EXPECT_EQ(qmath::quantize(static_cast<float>(k) + 0.5f, 1, 0, -127, 127), even) << k;
    EXPECT_EQ(qmath::quantize((static_cast<float>(k) + 0.5f) * 0.25f, 0.25f, 0, -127, 127), even) << k;
  }
}

TEST(Qmath, onnx_rule_saturates_and_takes_nan_as_zero) {
  for (const auto& [z, lo, hi] :
       {std::array{0, -127, 127}, std::array{128, 0, 255}, std::array{-5, -128, 127}, std::array{3, 0, 15}}) {
    EXPECT_EQ(qmath::quantize(kNan, 0.1f, z, lo, hi), z);
    EXPECT_EQ(qmath::quantize(1, kNan, z, lo, hi), z);
    EXPECT_EQ(qmath::quantize(0, 0, z, lo, hi), z);
    EXPECT_EQ(qmath::quantize(kInf, 0.1f, z, lo, hi), hi);
    EXPECT_EQ(qmath::quantize(-kInf, 0.1f, z, lo, hi), lo);
    EXPECT_EQ(qmath::quantize(3e38f, 1e-38f, z, lo, hi), hi);
    EXPECT_EQ(qmath::quantize(-3e38f, kMinScale, z, lo, hi), lo);
    EXPECT_EQ(qmath::quantize(1e-45f, 3e38f, z, lo, hi), z);
    EXPECT_EQ(qmath::quantize(-0.0f, 0.1f, z, lo, hi), z);
    EXPECT_EQ(qmath::quantize(0.0f, 0.1f, z, lo, hi), z);
  }
}

TEST(Qmath, every_code_survives_the_round_trip) {
  Random random(2, Purpose::test);
  for (int i = 0; i < 2000; ++i) {
    const float s = std::exp2f(static_cast<float>(random.uniform(-60, 60)));
    const std::int32_t z = static_cast<std::int32_t>(random.below(256));
    for (std::int32_t q = 0; q <= 255; q += 5) {
      ASSERT_EQ(qmath::quantize(qmath::dequantize(q, s, z), s, z, 0, 255), q) << s << " " << z;
    }
  }
}

TEST(Qmath, onnx_rule_is_monotonic) {
  Random random(3, Purpose::test);
  for (int i = 0; i < 100'000; ++i) {
    const float s = static_cast<float>(random.uniform(1e-3, 1)), x = static_cast<float>(random.uniform(-200, 200));
    ASSERT_LE(qmath::quantize(x, s, 0, -127, 127), qmath::quantize(std::nextafter(x, kInf), s, 0, -127, 127));
  }
}

TEST(Qmath, paddle_rule) {
  for (int k = -126; k < 127; ++k) {  // threshold 127: a step of 1
    const int away = k < 0 ? k : k + 1;
    EXPECT_EQ(qmath::quantize_paddle(static_cast<float>(k) + 0.5f, 127, 127), away) << k;
  }
  EXPECT_EQ(qmath::quantize_paddle(5, 2, 127), 127);
  EXPECT_EQ(qmath::quantize_paddle(-kInf, 2, 127), -127);
  EXPECT_EQ(qmath::quantize_paddle(kInf, 2, 7), 7);
  EXPECT_EQ(qmath::quantize_paddle(kNan, 2, 127), 0);
  EXPECT_EQ(qmath::quantize_paddle(1, 0, 127), 0);  // a channel of zeros
  EXPECT_EQ(qmath::quantize_paddle(-0.0f, 2, 127), 0);
  EXPECT_EQ(qmath::dequantize_paddle(127, 3, 127), 3);
  for (float s : {1e-3f, 0.7f, 42.0f}) {
    for (std::int32_t q = -127; q <= 127; ++q) {
      ASSERT_EQ(qmath::quantize_paddle(qmath::dequantize_paddle(q, s, 127), s, 127), q) << s;
    }
  }
}

TEST(Qmath, requantize_matches_exact_arithmetic) {
  Random random(4, Purpose::test);
  for (int i = 0; i < 200'000; ++i) {
    const auto a = static_cast<std::int32_t>(random.bits() >> random.below(31)) * (random.below(2) ? 1 : -1);
    const float m = std::exp2f(static_cast<float>(random.uniform(-20, 3)));
    // float(a) * m in double is exact (24 + 24 bits); its rounding to fp32 is part of the contract.
    const double product = static_cast<double>(static_cast<float>(a)) * static_cast<double>(m);
    const double clamped = std::min(std::max(static_cast<double>(static_cast<float>(product)), -128.0), 127.0);
    ASSERT_EQ(qmath::requantize(a, m, 128, 0, 255), static_cast<int>(std::nearbyint(clamped)) + 128) << a << " " << m;
  }
  EXPECT_EQ(qmath::requantize(std::numeric_limits<std::int32_t>::max(), 1e30f, 0, 0, 255), 255);
  EXPECT_EQ(qmath::requantize(std::numeric_limits<std::int32_t>::min(), 3e38f, 0, -127, 127), -127);
}

TEST(Qmath, requantize_paddle_rounds_twice) {
  EXPECT_EQ(qmath::requantize_paddle(1, 0.25f, 0.25f, -127, 127), 1);
  EXPECT_EQ(qmath::requantize_paddle(-1, 0.25f, -0.25f, -127, 127), -1);
  EXPECT_EQ(qmath::requantize_paddle(1000, 1, 0, -127, 127), 127);
  // Product and sum are rounded one after the other: the product goes up to 4098.5 + 2^-11 and the sum to the tie 2.5,
  // while a fused multiply-add would stay under it.
  const float m = 1 + 0x3p-13f, product = 4097.0f * m;
  ASSERT_GT(static_cast<double>(product), 4097.0 * static_cast<double>(m));
  EXPECT_EQ(qmath::requantize_paddle(4097, m, 2.5f - product, -127, 127), 3);
}

TEST(Qmath, add_codes_is_two_products_and_a_sum) {
  Random random(5, Purpose::test);
  for (int i = 0; i < 100'000; ++i) {
    const auto qa = static_cast<std::int32_t>(random.below(511)) - 255,
               qb = static_cast<std::int32_t>(random.below(511)) - 255;
    const float ma = static_cast<float>(random.uniform(0, 2)), mb = static_cast<float>(random.uniform(0, 2));
    const auto pa = static_cast<float>(static_cast<double>(qa) * static_cast<double>(ma));
    const auto pb = static_cast<float>(static_cast<double>(qb) * static_cast<double>(mb));
    const auto sum = static_cast<float>(static_cast<double>(pa) + static_cast<double>(pb));
    const int expected = static_cast<int>(std::nearbyint(std::min(std::max(sum, -127.0f), 127.0f)));
    ASSERT_EQ(qmath::add_codes(qa, qb, ma, mb, 0, -127, 127), expected);
  }
  int products_rounded_up = 0;
  for (std::int32_t q = 3; q < 255;
       ++q) {  // q * m is just under 101.5 and rounds up to it; fused, 1.5 would not be reached
    const float m = 101.5f / static_cast<float>(q);
    if (static_cast<float>(q) * m != 101.5f || q * static_cast<double>(m) >= 101.5) continue;
    ++products_rounded_up;
    ASSERT_EQ(qmath::add_codes(q, -100, m, 1, 0, -127, 127), 2);
    ASSERT_EQ(qmath::add_codes(-100, q, 1, m, 0, -127, 127), 2);
  }
  EXPECT_GT(products_rounded_up, 10);
  EXPECT_EQ(qmath::add_codes(1, 1, 1.25f, 1.25f, 0, -127, 127), 2) << "2.5 goes to the even side";
}

TEST(QuantParams, picks_rule_and_channel) {
  QuantParams p;
  p.scale = {0.5f};
  EXPECT_FALSE(p.per_channel());
  EXPECT_EQ(p.quantize(1.0f), 2);
  EXPECT_EQ(p.quantize(1.0f, 7), 2) << "one scale serves every channel";
  EXPECT_EQ(p.dequantize(2), 1.0f);
  p.scale = {0.5f, 0.25f};
  p.axis = 0;
  EXPECT_EQ(p.quantize(1.0f, 1), 4);
  EXPECT_ERROR(p.quantize(1.0f, 2), "channel 2 of 2");
  p.rule = QuantRule::paddle;
  EXPECT_EQ(p.step(0), 0.5f / 127.0f);
  EXPECT_EQ(p.quantize(0.25f, 0), 64);  // 63.5, away from zero
  EXPECT_EQ(p.quantize(9, 1), 127);
  EXPECT_EQ(p.dequantize(127, 1), 0.25f);
  p.scale.clear();
  EXPECT_ERROR(p.step(), "without a scale");
  EXPECT_FALSE(p.str().empty());
  EXPECT_EQ(kMinScale, 0x1p-64f);
}

TEST(QuantParams, knows_its_storage) {
  QuantParams p;
  EXPECT_FALSE(p.is_unsigned());
  p.lo = 0;
  p.hi = 255;
  EXPECT_TRUE(p.is_unsigned());
  p.hi = 15;
  EXPECT_FALSE(p.is_unsigned());
}

}  // namespace
}  // namespace octet
