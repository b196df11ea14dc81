// Fake quantization and codes: rows against the reference, bit for bit; both rules on ties; LSQ's sums; observers.
#include "kernels/fake_quant/fake_quant.h"
#include "kernels/quantize/quantize.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using namespace hostile;

struct Extent {
  std::int64_t channels, inner;
};
const Extent kExtents[] = {{1, 0},    {1, 1},     {1, 7}, {1, 8}, {1, 15},  {1, 16},   {1, 17},   {1, 1000},
                           {1, 1025}, {1, 16385}, {3, 1}, {5, 9}, {33, 27}, {1000, 9}, {2, 1025}, {2, 20003}};

/// A grid of `bits` codes; zero point somewhere inside.
FakeQuantProblem grid_of(QuantRule rule, int bits, bool is_unsigned) {
  const std::int32_t half = 1 << (bits - 1);
  FakeQuantProblem p;
  p.rule = rule;
  p.lo = is_unsigned ? 0 : 1 - half;
  p.hi = is_unsigned ? 2 * half - 1 : half - 1;
  p.zero_point = is_unsigned ? half / 2 : 0;
  return p;
}

/// The grids that rows are tried on: both rules, 2 and 8 bits, masked and not.
std::vector<FakeQuantProblem> problems(Extent extent) {
  std::vector<FakeQuantProblem> all;
  for (int bits : {2, 5, 8}) {
    all.push_back(grid_of(QuantRule::onnx, bits, false));
    all.push_back(grid_of(QuantRule::onnx, bits, true));
    all.push_back(grid_of(QuantRule::paddle, bits, false));
    all.back().masked = bits == 5;
  }
  for (FakeQuantProblem& p : all) {
    p.channels = extent.channels;
    p.inner = extent.inner;
  }
  return all;
}

/// Scales of every size; the first is an ordinary one.
std::vector<float> scales_of(const FakeQuantProblem& p, float first) {
  const float special[] = {first, 0.1f, 5.42101086e-20f, 1e-31f, 1e-40f, 3e38f, 1.0f, 1e10f};
  std::vector<float> scale(static_cast<std::size_t>(p.channels));
  for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = special[c % std::size(special)];
  return scale;
}

template <class F>
void for_problems(F f) {
  for_threads([&] {
    for (Extent extent : kExtents) {
      for (const FakeQuantProblem& p : problems(extent)) {
        SCOPED_TRACE(p.str());
        f(p, scales_of(p, p.rule == QuantRule::onnx ? 0.5f : 3.0f));
      }
    }
  });
}

TEST(FakeQuant, ForwardRowsEqualReference) {
  for_problems([](const FakeQuantProblem& p, const std::vector<float>& scale) {
    const std::vector<float> src = mixed_values(p.channels * p.inner, 1);
    std::vector<float> dst(src.size());
    reference_row(fake_quant_rows(), "fake_quant_fwd", "f32")
        .run(p, {.src = src.data(), .scale = scale.data(), .dst = dst.data()}, {});
    for_own_rows(fake_quant_rows(), "fake_quant_fwd", "f32", [&](const FakeQuantRow& row) {
      ASSERT_EQ(row.why_not(p), nullptr);
      PageEnd<float> own(src), got(own.size());
      row.run(p, {.src = own.data(), .scale = scale.data(), .dst = got.data()}, {});
      EXPECT_TRUE(same_bits(dst, got));
      row.run(p, {.src = own.data(), .scale = scale.data(), .dst = own.data()}, {});
      EXPECT_TRUE(same_bits(dst, own)) << "in place";
    });
  });
}

TEST(FakeQuant, BackwardRowsEqualReference) {
  for_problems([](const FakeQuantProblem& p, const std::vector<float>& scale) {
    const PageEnd<float> src(mixed_values(p.channels * p.inner, 1));
    for (std::uint64_t every : {9, 1 << 30}) {
      const std::vector<float> d_dst = mixed_values(src.size(), 2, every);
      std::vector<float> d_src(d_dst.size()), d_scale(scale.size());
      FakeQuantPointers x{.src = src.data(), .scale = scale.data()};
      x.d_dst = d_dst.data(), x.d_src = d_src.data(), x.d_scale = d_scale.data();
      reference_row(fake_quant_rows(), "fake_quant_bwd", "f32").run(p, x, {});
      for_own_rows(fake_quant_rows(), "fake_quant_bwd", "f32", [&](const FakeQuantRow& row) {
        PageEnd<float> own(d_dst), got(own.size()), got_scale(p.channels);
        x.d_dst = own.data(), x.d_src = got.data(), x.d_scale = got_scale.data();
        row.run(p, x, {});
        EXPECT_TRUE(same_bits(d_src, got));
        EXPECT_TRUE(same_bits(d_scale, got_scale));
        x.d_src = own.data(), x.d_scale = nullptr;
        row.run(p, x, {});
        EXPECT_TRUE(same_bits(d_src, own)) << "in place";
      });
    }
  });
}

TEST(FakeQuant, ScaledGradientRowsEqualReference) {
  for_problems([](FakeQuantProblem p, const std::vector<float>& scale) {
    p.delta = 0.3;
    const PageEnd<float> src(mixed_values(p.channels * p.inner, 1)), d_dst(mixed_values(src.size(), 2, 9));
    std::vector<float> d_src(static_cast<std::size_t>(src.size()));
    FakeQuantPointers x{.src = src.data(), .scale = scale.data()};
    x.d_dst = d_dst.data(), x.d_src = d_src.data();
    reference_row(fake_quant_rows(), "fake_quant_bwd", "f32").run(p, x, {});
    for_own_rows(fake_quant_rows(), "fake_quant_bwd", "f32", [&](const FakeQuantRow& row) {
      PageEnd<float> got(src.size());
      x.d_src = got.data();
      row.run(p, x, {});
      EXPECT_TRUE(same_bits(d_src, got));
    });
  });
}

TEST(FakeQuant, ClippedSumRowsEqualReference) {
  for_problems([](const FakeQuantProblem& p, const std::vector<float>& scale) {
    const PageEnd<float> src(mixed_values(p.channels * p.inner, 1));
    for (std::uint64_t every : {9, 1 << 30}) {
      const PageEnd<float> d_dst(mixed_values(src.size(), 2, every));
      std::vector<float> wanted(scale.size());
      FakeQuantPointers x{.src = src.data(), .scale = scale.data()};
      x.d_dst = d_dst.data(), x.out = wanted.data();
      reference_row(fake_quant_rows(), "clipped_sum", "f32").run(p, x, {});
      for_own_rows(fake_quant_rows(), "clipped_sum", "f32", [&](const FakeQuantRow& row) {
        PageEnd<float> got(p.channels);
        x.out = got.data();
        row.run(p, x, {});
        EXPECT_TRUE(same_bits(wanted, got)) << row.impl;
      });
    }
  });
}

// Codes 0 to 3 around zero point 1 with steps of 0.5: the grid holds −0.5 to 1.
TEST(FakeQuant, ClippedSumTakesWhatTheGridLeavesOut) {
  FakeQuantProblem p{.channels = 1, .inner = 6, .zero_point = 1, .lo = 0, .hi = 3};
  const float scale = 0.5f, src[] = {-0.5f, -0.6f, 1, 1.1f, std::nanf(""), INFINITY}, d_dst[] = {1, 2, 4, 8, 16, 32};
  const auto check = [&](const FakeQuantRow& row) {
    float out = 0;
    FakeQuantPointers x{.src = src, .scale = &scale};
    x.d_dst = d_dst, x.out = &out;
    row.run(p, x, {});
    EXPECT_EQ(out, 2 + 8 + 32) << row.impl;
  };
  check(reference_row(fake_quant_rows(), "clipped_sum", "f32"));
  for_own_rows(fake_quant_rows(), "clipped_sum", "f32", check);
}

TEST(FakeQuant, ObserverRowsEqualReference) {
  for_threads([] {
    for (Extent extent : kExtents) {
      const FakeQuantProblem p{.channels = extent.channels, .inner = extent.inner};
      SCOPED_TRACE(p.str());
      for (std::uint64_t every : {3, 5000, 1 << 30}) {
        const PageEnd<float> src(mixed_values(p.channels * p.inner, 3, every));
        for (const char* pass : {"abs_max", "min_max"}) {
          std::vector<float> wanted(static_cast<std::size_t>(p.channels) * (same_text(pass, "abs_max") ? 1 : 2));
          reference_row(fake_quant_rows(), pass, "f32").run(p, {.src = src.data(), .out = wanted.data()}, {});
          for_own_rows(fake_quant_rows(), pass, "f32", [&](const FakeQuantRow& row) {
            PageEnd<float> got(static_cast<std::int64_t>(wanted.size()));
            row.run(p, {.src = src.data(), .out = got.data()}, {});
            EXPECT_TRUE(same_bits(wanted, got));
          });
        }
      }
    }
  });
}

TEST(FakeQuant, ThresholdRowsEqualReference) {
  for_threads([] {
    for (Extent extent : kExtents) {
      if (extent.inner == 0) continue;
      for (const std::int32_t hi : {1, 7, 127}) {
        FakeQuantProblem p{.channels = extent.channels, .inner = extent.inner, .hi = hi};
        p.rank = hi == 7 ? 1 : (extent.inner + 1) / 2;
        SCOPED_TRACE(p.str());
        std::vector<float> values = random_values<float>(p.channels * p.inner, 5, -2, 2);
        values[0] = -40;
        if (p.channels > 2) std::fill_n(values.begin() + p.inner, p.inner, 0.0f);
        for (const bool lost : {false, true}) {
          if (lost) values[values.size() / 2] = hi == 1 ? std::nanf("") : -INFINITY;
          const PageEnd<float> src(values);
          p.rms_factor = 2.5, p.mean_factor = 1.6;
          for (const char* pass : {"quantile", "mse_top", "sawb_top"}) {
            std::vector<float> wanted(static_cast<std::size_t>(p.channels));
            reference_row(fake_quant_rows(), pass, "f32").run(p, {.src = src.data(), .out = wanted.data()}, {});
            EXPECT_EQ(std::isnan(wanted[static_cast<std::size_t>(p.channels / 2)]), lost);
            for_own_rows(fake_quant_rows(), pass, "f32", [&](const FakeQuantRow& row) {
              PageEnd<float> got(p.channels);
              row.run(p, {.src = src.data(), .out = got.data()}, {});
              EXPECT_TRUE(same_bits(wanted, got)) << pass;
            });
          }
        }
      }
    }
  });
}

// 127 values of 1 and one of 2, codes −1, 0, 1: a threshold t loses 127·(1 − t)² + (2 − t)², 1 at 1 and at 65/64.
TEST(FakeQuant, MseTakesTheLargestOfEquals) {
  std::vector<float> src(128, 1.0f);
  src[100] = -2;
  const FakeQuantProblem p{.channels = 1, .inner = 128, .hi = 1};
  const auto check = [&](const FakeQuantRow& row) {
    float out = 0;
    row.run(p, {.src = src.data(), .out = &out}, {});
    EXPECT_EQ(out, 65.0f / 64) << row.impl;
  };
  check(reference_row(fake_quant_rows(), "mse_top", "f32"));
  for_own_rows(fake_quant_rows(), "mse_top", "f32", check);
}

TEST(FakeQuant, QuantileIsTheElementOfThatRank) {
  const std::vector<float> src{3, -1, 0, -2, 5, -5, 4, 0};
  for (std::int64_t rank = 1; rank <= 8; ++rank) {
    const float sorted[] = {0, 0, 1, 2, 3, 4, 5, 5};
    FakeQuantProblem p{.channels = 1, .inner = 8};
    p.rank = rank;
    float out = -1;
    reference_row(fake_quant_rows(), "quantile", "f32").run(p, {.src = src.data(), .out = &out}, {});
    EXPECT_EQ(out, sorted[rank - 1]);
  }
  FakeQuantProblem p{.channels = 1, .inner = 8};
  for (const std::int64_t outside : {0, 9}) {
    p.rank = outside;
    EXPECT_NE(reference_row(fake_quant_rows(), "quantile", "f32").why_not(p), nullptr);
  }
}

// No other of the thresholds that are tried loses less; and for many normal values the best is the one in the literature.
TEST(FakeQuant, MseThresholdLosesLeast) {
  const std::vector<float> values = [] {
    std::vector<float> all(1 << 16);
    Random random(6, Purpose::test);
    for (float& x : all) x = static_cast<float>(random.normal());
    return all;
  }();
  for (const std::int32_t hi : {1, 3, 7, 127}) {
    const FakeQuantProblem p{.channels = 1, .inner = static_cast<std::int64_t>(values.size()), .hi = hi};
    float threshold = 0, top = 0;
    reference_row(fake_quant_rows(), "mse_top", "f32").run(p, {.src = values.data(), .out = &threshold}, {});
    reference_row(fake_quant_rows(), "abs_max", "f32").run(p, {.src = values.data(), .out = &top}, {});
    const auto loss = [&](float t) {
      const float step = t / static_cast<float>(hi);
      double sum = 0;
      for (const float x : values) {
        const double e = x - step * std::clamp(std::rint(x / step), static_cast<float>(-hi), static_cast<float>(hi));
        sum += e * e;
      }
      return sum;
    };
    const double least = loss(threshold);
    for (int k = 1; k <= 128; ++k)
      EXPECT_LE(least, loss(top * static_cast<float>(k) / 128) * (1 + 1e-5)) << hi << ' ' << k;
    // Steps of the best uniform quantizers with 3, 7 and 15 levels of a normal distribution (Max 1960; odd numbers of levels
    // lie between his even ones): 1.2240, 0.6508 and 0.3534.
    const double best = hi == 1 ? 1.2240 : hi == 3 ? 0.6508 : 0.3534;
    if (hi == 127) continue;
    EXPECT_NEAR(threshold / static_cast<float>(hi), best, 0.03 * best + top / 256 / static_cast<float>(hi));
  }
}

TEST(FakeQuant, WeightRowsEqualReference) {
  for_problems([](FakeQuantProblem p, const std::vector<float>&) {
    if (p.inner == 0) return;
    p.zero_point = 0, p.hi = std::min(p.hi, 127), p.lo = p.hi > 100 ? -128 : p.lo;
    for (const std::uint64_t every : {40, 1 << 30}) {
      std::vector<float> src = mixed_values(p.channels * p.inner, 4, every);
      if (p.channels > 2) std::fill_n(src.begin() + p.inner, p.inner, 0.0f);
      std::vector<float> dst(src.size()), scale(static_cast<std::size_t>(p.channels));
      std::vector<std::int8_t> codes(src.size());
      FakeQuantPointers x{.src = src.data()};
      x.dst = dst.data(), x.out = scale.data(), x.codes = codes.data();
      reference_row(fake_quant_rows(), "weight_quant_fwd", "f32").run(p, x, {});
      for_own_rows(fake_quant_rows(), "weight_quant_fwd", "f32", [&](const FakeQuantRow& row) {
        ASSERT_EQ(row.why_not(p), nullptr);
        PageEnd<float> own(src), got(own.size()), got_scale(p.channels);
        PageEnd<std::int8_t> got_codes(own.size());
        x.src = own.data(), x.dst = got.data(), x.out = got_scale.data(), x.codes = got_codes.data();
        row.run(p, x, {});
        EXPECT_TRUE(same_bits(scale, got_scale));
        for (std::int64_t i = 0; i < p.channels * p.inner; ++i) {
          if (!std::isfinite(scale[static_cast<std::size_t>(i / p.inner)])) continue;
          ASSERT_EQ(got[i], dst[static_cast<std::size_t>(i)]);
          ASSERT_EQ(got_codes[i], codes[static_cast<std::size_t>(i)]);
        }
        x.codes = nullptr, x.dst = own.data();
        row.run(p, x, {});
        EXPECT_TRUE(same_bits(own, got)) << "in place, no codes";
      });
    }
  });
}

// One sweep is the three passes that it stands for.
TEST(FakeQuant, WeightPassIsAbsMaxFakeQuantAndQuantize) {
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    const FakeQuantProblem p{.channels = 7, .inner = 33, .rule = rule};
    const std::vector<float> src = mixed_values(7 * 33, 5, 1 << 30);
    std::vector<float> top(7), scale(7), wanted(src.size()), dst(src.size());
    std::vector<std::int8_t> codes(src.size()), wanted_codes(src.size());
    reference_row(fake_quant_rows(), "abs_max", "f32").run(p, {.src = src.data(), .out = top.data()}, {});
    for (std::size_t c = 0; c < 7; ++c)
      scale[c] = rule == QuantRule::paddle ? std::max(top[c], 0x1p-64f * 127) : std::max(top[c] / 127, 0x1p-64f);
    reference_row(fake_quant_rows(), "fake_quant_fwd", "f32")
        .run(p, {.src = src.data(), .scale = scale.data(), .dst = wanted.data()}, {});
    reference_row(quantize_rows(), "quantize_fwd", "f32s8").run(p, {src.data(), scale.data(), wanted_codes.data()}, {});
    FakeQuantPointers x{.src = src.data()};
    x.dst = dst.data(), x.out = top.data(), x.codes = codes.data();
    reference_row(fake_quant_rows(), "weight_quant_fwd", "f32").run(p, x, {});
    EXPECT_EQ(top, scale);
    EXPECT_EQ(dst, wanted);
    EXPECT_EQ(codes, wanted_codes);
  }
}

TEST(FakeQuant, ObserversSeeEveryElement) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const FakeQuantRow& row : fake_quant_rows()) {
    const bool both = same_text(row.pass, "min_max");
    if ((!both && !same_text(row.pass, "abs_max")) || !same_text(row.dtypes, "f32") || !runnable(row)) continue;
    SCOPED_TRACE(row.impl);
    for (std::int64_t inner = 1; inner < 40; ++inner) {
      for (std::int64_t at = 0; at < inner; ++at) {
        PageEnd<float> src(std::vector<float>(static_cast<std::size_t>(inner), -1.0f));
        float out[2];
        src[at] = -7;
        row.run({.inner = inner}, {.src = src.data(), .out = out}, {});
        EXPECT_EQ(out[0], both ? -7 : 7);
        src[at] = 9;
        row.run({.inner = inner}, {.src = src.data(), .out = out}, {});
        EXPECT_EQ(out[both ? 1 : 0], 9);
        src[at] = nan;
        row.run({.inner = inner}, {.src = src.data(), .out = out}, {});
        EXPECT_TRUE(std::isnan(out[0]));
        EXPECT_TRUE(!both || std::isnan(out[1]));
      }
    }
  }
}

/// Codes of x by every row of quantize_fwd that runs here must be `wanted`.
void expect_code(const FakeQuantProblem& p, float scale, float x, std::int32_t wanted) {
  const char* dtypes = p.hi > 127 ? "f32u8" : "f32s8";
  for (const QuantizeRow& row : quantize_rows()) {
    if (!same_text(row.pass, "quantize_fwd") || !same_text(row.dtypes, dtypes) || !runnable(row)) continue;
    std::uint8_t code = 0;
    row.run(p, {&x, &scale, &code}, {});
    const std::int32_t got = p.hi > 127 ? code : static_cast<std::int8_t>(code);
    EXPECT_EQ(got, wanted) << row.impl << " x " << x << " scale " << scale << " " << p.str();
  }
}

TEST(Quantize, OnnxTiesGoToEven) {
  for (int bits = 2; bits <= 8; ++bits) {
    for (bool is_unsigned : {false, true}) {
      FakeQuantProblem p = grid_of(QuantRule::onnx, bits, is_unsigned);
      for (std::int32_t z : {p.lo, p.zero_point, p.hi}) {
        p.zero_point = z;
        for (std::int32_t half = 2 * (p.lo - z) - 5; half <= 2 * (p.hi - z) + 5; ++half) {
          const std::int32_t below = half >= 0 ? half / 2 : -((1 - half) / 2);  // floor(half / 2)
          std::int32_t q = half % 2 == 0 || below % 2 == 0 ? below : below + 1;
          q = q + z < p.lo ? p.lo : (q + z > p.hi ? p.hi : q + z);
          for (float scale : {1.0f, 0.25f, 1024.0f}) expect_code(p, scale, 0.5f * static_cast<float>(half) * scale, q);
        }
      }
    }
  }
}

TEST(Quantize, PaddleTiesGoAwayFromZero) {
  int exact = 0;
  for (int bits = 2; bits <= 8; ++bits) {
    const FakeQuantProblem p = grid_of(QuantRule::paddle, bits, false);
    const float hi = static_cast<float>(p.hi);
    for (float scale : {hi, hi / 4, hi * 1024}) {
      const float factor = hi * (1.0f / scale), step = scale / hi;
      if (factor * step != 1) continue;  // then x below is no tie after rounding
      ++exact;
      for (std::int32_t half = -2 * p.hi - 5; half <= 2 * p.hi + 5; ++half) {
        std::int32_t q = half >= 0 ? (half + 1) / 2 : -((1 - half) / 2);
        q = q < -p.hi ? -p.hi : (q > p.hi ? p.hi : q);
        expect_code(p, scale, 0.5f * static_cast<float>(half) * step, q);
      }
    }
  }
  EXPECT_GE(exact, 12);
}

TEST(Quantize, NotANumberAndExtremes) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const FakeQuantProblem u8{.zero_point = 128, .lo = 0, .hi = 255};
  for (float scale : {1.0f, 1e-30f, 0.0f, inf, nan}) expect_code(u8, scale, nan, 128);
  expect_code(u8, 1e-20f, inf, 255);
  expect_code(u8, 1e-20f, -inf, 0);
  expect_code(u8, 1e-40f, 1, 255);
  expect_code(u8, 3e38f, 1, 128);
  const FakeQuantProblem paddle{.rule = QuantRule::paddle};
  for (float scale : {1.0f, 0.0f, inf, nan}) expect_code(paddle, scale, nan, 0);
  expect_code(paddle, inf, inf, 0);
  expect_code(paddle, 0.0f, 1, 0);
  expect_code(paddle, 2.0f, inf, 127);
  expect_code(paddle, 2.0f, -inf, -127);
}

TEST(Quantize, RowsEqualReferenceAndComposeToFakeQuant) {
  for_threads([] {
    for (Extent extent : kExtents) {
      for (FakeQuantProblem p : problems(extent)) {
        SCOPED_TRACE(p.str());
        const bool wide = p.hi > 127;
        const PageEnd<float> src(mixed_values(p.channels * p.inner, 1));
        const std::vector<float> scale = scales_of(p, 0.5f);
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(src.size()));
        std::vector<float> values(codes.size()), fake(codes.size());
        const char* to = wide ? "f32u8" : "f32s8";
        const char* from = wide ? "u8f32" : "s8f32";
        reference_row(quantize_rows(), "quantize_fwd", to).run(p, {src.data(), scale.data(), codes.data()}, {});
        reference_row(quantize_rows(), "dequantize_fwd", from).run(p, {codes.data(), scale.data(), values.data()}, {});
        reference_row(fake_quant_rows(), "fake_quant_fwd", "f32")
            .run(p, {.src = src.data(), .scale = scale.data(), .dst = fake.data()}, {});
        EXPECT_TRUE(same_bits(values, fake));
        const PageEnd<std::uint8_t> own_codes(codes);
        for_own_rows(quantize_rows(), "quantize_fwd", to, [&](const QuantizeRow& row) {
          PageEnd<std::uint8_t> got(src.size());
          row.run(p, {src.data(), scale.data(), got.data()}, {});
          EXPECT_TRUE(same_bits(codes, got));
        });
        for_own_rows(quantize_rows(), "dequantize_fwd", from, [&](const QuantizeRow& row) {
          PageEnd<float> got(src.size());
          row.run(p, {own_codes.data(), scale.data(), got.data()}, {});
          EXPECT_TRUE(same_bits(values, got));
        });
      }
    }
  });
}

/// Gradients of the learned step by their formula, summed in long double.
void check_learned_step(const FakeQuantProblem& p, float scale) {
  SCOPED_TRACE(p.str());
  const std::int64_t count = p.channels * p.inner;
  const std::vector<float> src = random_values(count, 5, -4, 4), d_dst = random_values(count, 6);
  const std::vector<float> scales(static_cast<std::size_t>(p.channels), scale);
  std::vector<float> d_src(src.size()), d_scale(scales.size());
  dispatch(fake_quant_rows(), "fake_quant_bwd", "f32", p,
           FakeQuantPointers{.src = src.data(),
                             .scale = scales.data(),
                             .d_dst = d_dst.data(),
                             .d_src = d_src.data(),
                             .d_scale = d_scale.data()});
  const bool onnx = p.rule == QuantRule::onnx;
  const double lo = onnx ? p.lo - p.zero_point : -1, hi = onnx ? p.hi - p.zero_point : 1, unit = onnx ? 1 : p.hi;
  for (std::int64_t c = 0; c < p.channels; ++c) {
    long double sum = 0;
    for (std::int64_t i = c * p.inner; i < (c + 1) * p.inner; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double t = static_cast<double>(src[at]) / scale;
      const bool inside = t >= lo && t <= hi;
      EXPECT_EQ(d_src[at], inside || !p.masked ? d_dst[at] : 0);
      sum += d_dst[at] * (inside ? std::round(t * unit) / unit - t : (t < lo ? lo : hi));
    }
    EXPECT_NEAR(d_scale[static_cast<std::size_t>(c)], static_cast<double>(sum),
                1e-5 * static_cast<double>(p.inner) * hi);
  }
}
TEST(FakeQuant, LearnedStepFollowsItsFormula) {
  for (Extent extent : {Extent{1, 3000}, Extent{7, 45}}) {
    for (int bits : {2, 4, 8}) {
      for (FakeQuantProblem p : {grid_of(QuantRule::onnx, bits, false), grid_of(QuantRule::onnx, bits, true),
                                 grid_of(QuantRule::paddle, bits, false)}) {
        p.channels = extent.channels;
        p.inner = extent.inner;
        check_learned_step(p, p.rule == QuantRule::onnx ? 0.0703f * static_cast<float>(1 << (8 - bits)) / 4 : 3.0f);
      }
    }
  }
}

TEST(FakeQuant, DoubleFollowsFloat) {
  for (QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
    FakeQuantProblem p = grid_of(rule, 8, false);
    p.inner = 500;
    const float scale = rule == QuantRule::onnx ? 0.03f : 3.0f;
    const std::vector<float> src = random_values(p.inner, 8, -5, 5);
    const std::vector<double> wide(src.begin(), src.end());
    std::vector<float> dst(src.size());
    std::vector<double> wide_dst(src.size());
    dispatch(fake_quant_rows(), "fake_quant_fwd", "f32", p,
             FakeQuantPointers{.src = src.data(), .scale = &scale, .dst = dst.data()});
    dispatch(fake_quant_rows(), "fake_quant_fwd", "f64", p,
             FakeQuantPointers{.src = wide.data(), .scale = &scale, .dst = wide_dst.data()});
    for (std::size_t i = 0; i < src.size(); ++i) EXPECT_NEAR(dst[i], wide_dst[i], 1e-6);
  }
}

TEST(FakeQuant, CodesBeyondFloatsPrecisionAreRefusedByVectorRows) {
  const FakeQuantProblem p{.lo = -(1 << 24), .hi = 1 << 24};
  for_own_rows(fake_quant_rows(), "fake_quant_fwd", "f32",
               [&](const FakeQuantRow& row) { EXPECT_NE(row.why_not(p), nullptr); });
}

}  // namespace
}  // namespace octet::kernels
