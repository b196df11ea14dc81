// Batch normalisation: rows against the reference, bit for bit; statistics against a computation in long double.
#include "kernels/batchnorm/batchnorm.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using namespace hostile;

const std::int64_t kChannels[] = {1, 3, 15, 16, 17, 130, 1000};
const std::int64_t kPixels[] = {1, 2, 8, 21};

/// f(problem) over channels and pixels, a few of them with several chunks.
template <class F>
void for_shapes(F f) {
  for (std::int64_t c : kChannels) {
    for (std::int64_t pixels : kPixels) f(BatchNormProblem{pixels, c});
  }
  for (std::int64_t pixels : {1024, 1025, 2500, 9001}) {
    for (std::int64_t c : {3, 17}) f(BatchNormProblem{pixels, c});
  }
  f(BatchNormProblem{1100, 140});
}

struct Arrays {
  std::vector<float> src, scale, shift, d_dst;
  Arrays(const BatchNormProblem& p, std::uint64_t every)
      : src(mixed_values(p.pixels * p.c, 1, every)),
        scale(random_values(p.c, 2, -2, 2)),
        shift(random_values(p.c, 3, -1, 3)),
        d_dst(mixed_values(p.pixels * p.c, 4, every)) {
    for (std::int64_t c = 0; c < p.c; c += 5) {  // dead channels: zero in, zero scale; and some of huge scale
      scale[static_cast<std::size_t>(c)] = c % 2 == 0 ? 0.0f : 1e20f;
      for (std::int64_t i = c; i < p.pixels * p.c; i += p.c) src[static_cast<std::size_t>(i)] = 0;
    }
  }
};

TEST(BatchNorm, StatsRowsEqualReference) {
  for_threads([] {
    for_shapes([](const BatchNormProblem& p) {
      SCOPED_TRACE(p.str());
      for (std::uint64_t every : {5, 1 << 30}) {
        const PageEnd<float> src(Arrays(p, every).src);
        std::vector<float> mean(static_cast<std::size_t>(p.c)), variance(mean.size());
        reference_row(batchnorm_rows(), "batchnorm_stats", "f32")
            .run(p, {.src = src.data(), .mean = mean.data(), .variance = variance.data()}, {});
        for_own_rows(batchnorm_rows(), "batchnorm_stats", "f32", [&](const BatchNormRow& row) {
          PageEnd<float> got_mean(p.c), got_variance(p.c);
          row.run(p, {.src = src.data(), .mean = got_mean.data(), .variance = got_variance.data()}, {});
          EXPECT_TRUE(same_bits(mean, got_mean));
          EXPECT_TRUE(same_bits(variance, got_variance));
        });
      }
    });
  });
}

TEST(BatchNorm, AffineRowsEqualReference) {
  for_threads([] {
    for_shapes([](const BatchNormProblem& shape) {
      for (Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
        BatchNormProblem p = shape;
        p.act = act;
        SCOPED_TRACE(p.str());
        const Arrays in(p, 6);
        const PageEnd<float> scale(in.scale), shift(in.shift);
        std::vector<float> dst(in.src.size());
        BatchNormPointers x{.src = in.src.data(), .scale = scale.data(), .shift = shift.data(), .dst = dst.data()};
        reference_row(batchnorm_rows(), "affine_act_fwd", "f32").run(p, x, {});
        for_own_rows(batchnorm_rows(), "affine_act_fwd", "f32", [&](const BatchNormRow& row) {
          PageEnd<float> src(in.src), got(static_cast<std::int64_t>(dst.size()));
          row.run(p, {.src = src.data(), .scale = scale.data(), .shift = shift.data(), .dst = got.data()}, {});
          EXPECT_TRUE(same_bits(dst, got));
          row.run(p, {.src = src.data(), .scale = scale.data(), .shift = shift.data(), .dst = src.data()}, {});
          EXPECT_TRUE(same_bits(dst, src)) << "in place";
        });
      }
    });
  });
}

TEST(BatchNorm, AffineBackwardRowsEqualReference) {
  for_threads([] {
    for_shapes([](const BatchNormProblem& shape) {
      for (Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
        BatchNormProblem p = shape;
        p.act = act;
        SCOPED_TRACE(p.str());
        const Arrays in(p, act == Activation::relu ? 6 : 1 << 30);
        const PageEnd<float> src(in.src), scale(in.scale), shift(in.shift);
        BatchNormPointers x{.src = src.data(), .scale = scale.data(), .shift = shift.data()};
        std::vector<float> d_src(in.src.size()), d_scale(in.scale.size()), d_shift(in.scale.size());
        x.d_dst = in.d_dst.data(), x.d_src = d_src.data(), x.d_scale = d_scale.data(), x.d_shift = d_shift.data();
        reference_row(batchnorm_rows(), "affine_act_bwd", "f32").run(p, x, {});
        for_own_rows(batchnorm_rows(), "affine_act_bwd", "f32", [&](const BatchNormRow& row) {
          for (bool in_place : {false, true}) {
            PageEnd<float> d_dst(in.d_dst), apart(static_cast<std::int64_t>(d_src.size())), got_scale(p.c),
                got_shift(p.c);
            PageEnd<float>& got = in_place ? d_dst : apart;
            x.d_dst = d_dst.data(), x.d_src = got.data(), x.d_scale = got_scale.data(), x.d_shift = got_shift.data();
            row.run(p, x, {});
            EXPECT_TRUE(same_bits(d_src, got));
            EXPECT_TRUE(same_bits(d_scale, got_scale));
            EXPECT_TRUE(same_bits(d_shift, got_shift));
          }
        });
      }
    });
  });
}

/// Mean and variance of every channel in long double, in two passes.
template <class T>
void check_statistics(const char* dtypes, const BatchNormProblem& p, double offset, double tolerance) {
  SCOPED_TRACE(p.str());
  std::vector<T> src = random_values<T>(p.pixels * p.c, 7, -1, 1);
  for (std::size_t i = 0; i < src.size(); ++i) {
    src[i] += static_cast<T>(offset * static_cast<double>(i % static_cast<std::size_t>(p.c)));
  }
  std::vector<T> mean(static_cast<std::size_t>(p.c)), variance(mean.size());
  dispatch(batchnorm_rows(), "batchnorm_stats", dtypes, p,
           BatchNormPointers{.src = src.data(), .mean = mean.data(), .variance = variance.data()});
  for (std::int64_t c = 0; c < p.c; ++c) {
    long double sum = 0, squares = 0;
    for (std::int64_t i = c; i < p.pixels * p.c; i += p.c) sum += src[static_cast<std::size_t>(i)];
    const long double exact = sum / p.pixels;
    for (std::int64_t i = c; i < p.pixels * p.c; i += p.c) {
      const long double d = src[static_cast<std::size_t>(i)] - exact;
      squares += d * d;
    }
    const auto at = static_cast<std::size_t>(c);
    EXPECT_NEAR(mean[at], static_cast<double>(exact), tolerance * (std::fabs(static_cast<double>(exact)) + 1e-3));
    EXPECT_NEAR(variance[at], static_cast<double>(squares / p.pixels), tolerance);
  }
}

TEST(BatchNorm, StatisticsAreAccurate) {
  for (std::int64_t c : {1, 3, 16, 37}) {
    for (std::int64_t pixels : {1, 5, 300, 5000}) {
      check_statistics<float>("f32", {pixels, c}, 0.5, 1e-7);
      check_statistics<double>("f64", {pixels, c}, 0.5, 1e-12);
    }
  }
}

TEST(BatchNorm, VarianceOfConstantChannelIsNeverNegative) {
  const BatchNormProblem p{777, 33};
  std::vector<float> src(static_cast<std::size_t>(p.pixels * p.c));
  for (std::size_t i = 0; i < src.size(); ++i) src[i] = 0.1f * static_cast<float>(i % 33) + 1e-3f;
  for (const BatchNormRow& row : batchnorm_rows()) {
    if (!same_text(row.pass, "batchnorm_stats") || !same_text(row.dtypes, "f32") || !runnable(row)) continue;
    std::vector<float> mean(33), variance(33, -1.0f);
    row.run(p, {.src = src.data(), .mean = mean.data(), .variance = variance.data()}, {});
    for (std::size_t c = 0; c < 33; ++c) {
      EXPECT_GE(variance[c], 0.0f);
      EXPECT_LE(variance[c], 1e-12f);
      EXPECT_EQ(mean[c], src[c]);
    }
  }
}

TEST(BatchNorm, BackwardFormula) {
  const BatchNormProblem p{2, 2, Activation::relu6};
  const std::vector<double> src{1, 2, -1, 8}, scale{2, 1}, shift{1, 0.5}, d_dst{3, 4, 5, 6};
  std::vector<double> dst(4), d_src(4), d_scale(2), d_shift(2);  // t = 3, 2.5, -1, 8.5
  BatchNormPointers x{.src = src.data(), .scale = scale.data(), .shift = shift.data(), .dst = dst.data()};
  dispatch(batchnorm_rows(), "affine_act_fwd", "f64", p, x);
  EXPECT_EQ(dst, (std::vector<double>{3, 2.5, 0, 6}));
  x.d_dst = d_dst.data(), x.d_src = d_src.data(), x.d_scale = d_scale.data(), x.d_shift = d_shift.data();
  dispatch(batchnorm_rows(), "affine_act_bwd", "f64", p, x);
  EXPECT_EQ(d_src, (std::vector<double>{6, 4, 0, 0}));
  EXPECT_EQ(d_scale, (std::vector<double>{3, 8}));
  EXPECT_EQ(d_shift, (std::vector<double>{3, 4}));
}

}  // namespace
}  // namespace octet::kernels
