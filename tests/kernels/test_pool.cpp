// Pooling: rows against the reference, bit for bit, and the reference against plain formulas.
#include "kernels/pool/pool.h"
#include "tests/kernels/hostile.h"
#include "tests/kernels/windows.h"

namespace octet::kernels {
namespace {

using namespace hostile;

/// Windows with and without padding, overlap and gaps; the whole map; windows wholly in the padding.
std::vector<PoolProblem> geometries(std::int64_t c) {
  std::vector<PoolProblem> all{windowed(2, 4, 4, c, 2, 2, 2),    windowed(1, 5, 7, c, 3, 3, 2, 1),
                               windowed(3, 7, 5, c, 3, 2, 1, 1), windowed(2, 2, 2, c, 2, 2),
                               windowed(1, 1, 1, c, 1, 1),       windowed(1, 6, 6, c, 2, 2, 3),
                               windowed(1, 3, 3, c, 1, 1, 1, 1), windowed(1, 2, 3, c, 5, 5, 1, 2)};
  PoolProblem uneven = windowed(2, 6, 9, c, 3, 2);
  uneven.stride_h = 2, uneven.stride_w = 3, uneven.pad_h = 1;
  all.push_back(uneven);
  return all;
}

std::int64_t src_size(const PoolProblem& g) { return g.n * g.h * g.w * g.c; }
std::int64_t dst_size(const PoolProblem& g) { return g.out_pixels() * g.c; }

/// Few values, so that maxima tie, and now and then a NaN or an infinity.
std::vector<float> coarse_values(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values = random_values(count, seed, -2.5, 2.5);
  for (float& v : values) v = std::rint(v);
  Random random(seed, Purpose::test, 2);
  for (float& v : values) {
    if (random.below(9) == 0) v = hostile_values()[random.below(3)];
  }
  return values;
}

template <class F>
void for_geometries(F f) {
  for_threads([&] {
    for (std::int64_t c : {1, 3, 8, 15, 16, 17, 40}) {
      for (const PoolProblem& g : geometries(c)) {
        SCOPED_TRACE(g.str());
        f(g);
      }
    }
    f(windowed(9, 2, 2, 1000, 2, 2));
    f(windowed(2, 33, 30, 32, 3, 3, 2, 1));
  });
}

TEST(Pool, MaxRowsEqualReference) {
  for_geometries([](const PoolProblem& g) {
    const PageEnd<float> src(coarse_values(src_size(g), 1)), d_dst(mixed_values(dst_size(g), 2));
    std::vector<float> dst(static_cast<std::size_t>(dst_size(g))), d_src(static_cast<std::size_t>(src_size(g)));
    std::vector<std::int32_t> argmax(dst.size());
    PoolPointers x{
        .src = src.data(), .dst = dst.data(), .argmax = argmax.data(), .d_dst = d_dst.data(), .d_src = d_src.data()};
    reference_row(pool_rows(), "max_pool_fwd", "f32").run(g, x, {});
    reference_row(pool_rows(), "max_pool_bwd", "f32").run(g, x, {});
    PageEnd<std::int32_t> winners(dst_size(g));
    PageEnd<float> got(dst_size(g)), got_d_src(std::vector<float>(d_src.size(), 5.0f));
    const PoolPointers own{.src = src.data(),
                           .dst = got.data(),
                           .argmax = winners.data(),
                           .d_dst = d_dst.data(),
                           .d_src = got_d_src.data()};
    for_own_rows(pool_rows(), "max_pool_fwd", "f32", [&](const PoolRow& row) {
      row.run(g, own, {});
      EXPECT_TRUE(same_bits(dst, got));
      EXPECT_TRUE(same_bits(argmax, winners));
    });
    for (std::size_t i = 0; i < argmax.size(); ++i) winners[static_cast<std::int64_t>(i)] = argmax[i];
    for_own_rows(pool_rows(), "max_pool_bwd", "f32", [&](const PoolRow& row) {
      row.run(g, own, {});
      EXPECT_TRUE(same_bits(d_src, got_d_src));
    });
  });
}

TEST(Pool, AverageRowsEqualReference) {
  for_geometries([](const PoolProblem& g) {
    const PageEnd<float> src(mixed_values(src_size(g), 1, 20)), d_dst(mixed_values(dst_size(g), 2, 20));
    std::vector<float> dst(static_cast<std::size_t>(dst_size(g))), d_src(static_cast<std::size_t>(src_size(g)));
    const PoolPointers x{.src = src.data(), .dst = dst.data(), .d_dst = d_dst.data(), .d_src = d_src.data()};
    reference_row(pool_rows(), "avg_pool_fwd", "f32").run(g, x, {});
    reference_row(pool_rows(), "avg_pool_bwd", "f32").run(g, x, {});
    for_own_rows(pool_rows(), "avg_pool_fwd", "f32", [&](const PoolRow& row) {
      PageEnd<float> got(dst_size(g));
      row.run(g, {.src = src.data(), .dst = got.data()}, {});
      EXPECT_TRUE(same_bits(dst, got));
    });
    for_own_rows(pool_rows(), "avg_pool_bwd", "f32", [&](const PoolRow& row) {
      PageEnd<float> got(std::vector<float>(d_src.size(), 5.0f));
      row.run(g, {.d_dst = d_dst.data(), .d_src = got.data()}, {});
      EXPECT_TRUE(same_bits(d_src, got));
    });
  });
}

/// Runs a pass in f64 with every array as given; missing ones are empty.
struct Doubles {
  std::vector<double> src, dst, d_dst, d_src;
  std::vector<std::int32_t> argmax;
  void run(const char* pass, const PoolProblem& g) {
    dst.resize(static_cast<std::size_t>(dst_size(g)));
    argmax.resize(dst.size());
    d_src.resize(static_cast<std::size_t>(src_size(g)));
    dispatch(pool_rows(), pass, "f64", g,
             PoolPointers{src.data(), dst.data(), argmax.data(), d_dst.data(), d_src.data()});
  }
};

TEST(Pool, PaddingNeitherCountsNorWins) {
  const PoolProblem g = windowed(1, 2, 2, 1, 3, 3, 1, 1);
  Doubles a{.src = {-1, -2, -3, -4}, .dst = {}, .d_dst = {1, 10, 100, 1000}, .d_src = {}, .argmax = {}};
  a.run("max_pool_fwd", g);
  EXPECT_EQ(a.dst, (std::vector<double>{-1, -1, -1, -1}));
  EXPECT_EQ(a.argmax, (std::vector<std::int32_t>{0, 0, 0, 0}));
  a.run("max_pool_bwd", g);
  EXPECT_EQ(a.d_src, (std::vector<double>{1111, 0, 0, 0}));
  a.run("avg_pool_fwd", g);
  EXPECT_EQ(a.dst, (std::vector<double>{-2.5, -2.5, -2.5, -2.5}));
  a.run("avg_pool_bwd", g);
  EXPECT_EQ(a.d_src, (std::vector<double>{277.75, 277.75, 277.75, 277.75}));
}

TEST(Pool, FirstOfEqualsAndFirstNanWin) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const PoolProblem g = windowed(1, 2, 2, 1, 2, 2);
  Doubles a{.src = {1, 3, 3, 2}, .dst = {}, .d_dst = {}, .d_src = {}, .argmax = {}};
  a.run("max_pool_fwd", g);
  EXPECT_EQ(a.argmax[0], 1);
  a.src = {1, nan, 9, nan};
  a.run("max_pool_fwd", g);
  EXPECT_EQ(a.argmax[0], 1);
  EXPECT_TRUE(std::isnan(a.dst[0]));
}

TEST(Pool, WindowInThePaddingIsZero) {
  const PoolProblem g = windowed(1, 1, 1, 1, 1, 1, 1, 1);
  Doubles a{.src = {-5}, .dst = {}, .d_dst = std::vector<double>(9, 1.0), .d_src = {}, .argmax = {}};
  a.run("max_pool_fwd", g);
  EXPECT_EQ(a.dst, (std::vector<double>{0, 0, 0, 0, -5, 0, 0, 0, 0}));
  EXPECT_EQ(a.argmax, (std::vector<std::int32_t>{-1, -1, -1, -1, 0, -1, -1, -1, -1}));
  a.run("max_pool_bwd", g);
  EXPECT_EQ(a.d_src, std::vector<double>{1});
  a.run("avg_pool_fwd", g);
  EXPECT_EQ(a.dst[0], 0);
  EXPECT_EQ(a.dst[4], -5);
  a.run("avg_pool_bwd", g);
  EXPECT_EQ(a.d_src, std::vector<double>{1});
}

}  // namespace
}  // namespace octet::kernels
