#include "kernels/pool/cuda_vector.h"
#include "kernels/pool/pool.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"
#include "tests/kernels/windows.h"

namespace octet::kernels {
namespace {

using hostile::windowed;
using test::Buffer;

class GpuPool : public test::OnDevice {};

/// Tails of channels, padding beyond the window, windows outside the picture, strides beyond the window, whole maps,
/// several blocks.
template <class F>
void for_geometries(F f) {
  for (std::int64_t c : {1, 3, 4, 36}) {
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t pad : {0, 1}) f(windowed(2, 6, 7, c, 2, 3, stride, pad));
    f(windowed(2, 5, 4, c, 2, 2, 1, 4));
    f(windowed(3, 1, 1, c, 1, 1, 1, 0));
    f(windowed(3, 7, 7, c, 7, 7, 1, 0));
    f(windowed(2, 7, 5, c, 3, 5, 2, 3));
  }
  f(windowed(1, 40, 41, 3, 3, 3, 2, 1));
  f(windowed(2, 3, 3, 200, 2, 2, 1, 1));
}

/// Few different values, so that maxima have equals; NaN and infinities among them.
std::vector<float> coarse(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values = hostile::random_values<float>(count, seed, -2, 2);
  for (float& v : values) v = std::round(v);
  for (std::size_t i = seed % 7; i < values.size(); i += 23)
    values[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? -INFINITY : INFINITY;
  return values;
}

std::size_t src_size(const PoolProblem& g) { return static_cast<std::size_t>(g.n * g.h * g.w * g.c); }
std::size_t dst_size(const PoolProblem& g) { return static_cast<std::size_t>(g.out_pixels() * g.c); }

void run_on_device(const char* pass, const PoolProblem& g, const PoolPointers& x) {
  const auto* row = test::device_row(pool_rows(), pass, "f32", g);
  ASSERT_NE(row, nullptr);
  row->run(g, x, context_of(Device::cuda));
}

void expect_equal(const PoolProblem& g, const char* kind, const std::vector<float>& src,
                  const std::vector<float>& d_dst) {
  const bool max = std::string(kind) == "max_pool";
  const std::string fwd = std::string(kind) + "_fwd", bwd = std::string(kind) + "_bwd";
  std::vector<float> dst(dst_size(g)), d_src(src_size(g));
  std::vector<std::int32_t> argmax(dst.size());
  const PoolPointers x{src.data(), dst.data(), max ? argmax.data() : nullptr, d_dst.data(), d_src.data()};
  test::reference_row(pool_rows(), fwd.c_str(), "f32").run(g, x, {});
  test::reference_row(pool_rows(), bwd.c_str(), "f32").run(g, x, {});
  Buffer<float> src_there(src), dst_there(dst.size()), d_dst_there(d_dst), d_src_there(d_src.size());
  Buffer<std::int32_t> argmax_there(argmax.size());
  const PoolPointers y{src_there, dst_there, max ? argmax_there.data() : nullptr, d_dst_there, d_src_there};
  run_on_device(fwd.c_str(), g, y);
  test::expect_same(dst, dst_there.values(), fwd + ' ' + g.str());
  if (max) {
    EXPECT_EQ(argmax, argmax_there.values()) << g.str();
  }
  run_on_device(bwd.c_str(), g, y);
  test::expect_same(d_src, d_src_there.values(), bwd + ' ' + g.str());
}

TEST_F(GpuPool, MaxHasTheReferencesBits) {
  for_geometries([](const PoolProblem& g) {
    const auto d_dst = hostile::mixed_values(g.out_pixels() * g.c, 2, 20);
    expect_equal(g, "max_pool", coarse(g.n * g.h * g.w * g.c, 1), d_dst);
  });
}

TEST_F(GpuPool, AverageHasTheReferencesBits) {
  for_geometries([](const PoolProblem& g) {
    const auto d_dst = hostile::mixed_values(g.out_pixels() * g.c, 2, 20);
    expect_equal(g, "avg_pool", hostile::mixed_values(g.n * g.h * g.w * g.c, 1, 40), d_dst);
  });
}

TEST_F(GpuPool, StridesAndPaddingDifferByAxis) {
  PoolProblem g = windowed(2, 8, 5, 8, 3, 2, 2, 1);
  g.stride_w = 1, g.pad_w = 0;
  for (const char* kind : {"max_pool", "avg_pool"})
    expect_equal(g, kind, coarse(2 * 8 * 5 * 8, 3), hostile::random_values(g.out_pixels() * 8, 4));
}

TEST_F(GpuPool, AddressesOfNoWholeVector) {
  const PoolProblem g = windowed(2, 5, 5, 8, 2, 2, 2, 0);
  const auto src = hostile::random_values(2 * 5 * 5 * 8 + 1, 5);
  std::vector<float> dst(dst_size(g)), d_src(src_size(g));
  std::vector<std::int32_t> argmax(dst.size());
  test::reference_row(pool_rows(), "max_pool_fwd", "f32").run(g, {src.data() + 1, dst.data(), argmax.data()}, {});
  Buffer<float> src_there(src), dst_there(dst.size());
  Buffer<std::int32_t> argmax_there(dst.size() + 1);
  run_on_device("max_pool_fwd", g, {src_there.data() + 1, dst_there, argmax_there.data() + 1});
  test::expect_same(dst, dst_there.values(), g.str());
  std::vector<std::int32_t> winners = argmax_there.values();
  winners.erase(winners.begin());
  EXPECT_EQ(argmax, winners);
}

TEST(GpuPoolVector, GlobalAveragesGoByOnes) {
  EXPECT_EQ(pool_vector(128, 1024, 49), 1);
  EXPECT_EQ(pool_vector(128 * 56 * 56, 64, 9), 4);
  EXPECT_EQ(pool_vector(128, 1024, 4), 4);
  EXPECT_EQ(pool_vector(1 << 20, 64, 49), 4);
  EXPECT_EQ(pool_vector(1 << 20, 63, 9), 1);
}

}  // namespace
}  // namespace octet::kernels
