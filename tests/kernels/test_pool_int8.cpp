#include "kernels/pool_int8/pool_int8.h"

#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using hostile::PageEnd;

std::vector<std::uint8_t> run(const PoolInt8Row& row, const PoolInt8Problem& p, std::uint64_t seed) {
  const ConvGeometry& g = p.geometry;
  Random random(seed, Purpose::test, 3);
  PageEnd<std::uint8_t> src(g.n * g.h * g.w * g.c);
  for (std::uint8_t& c : src.span()) c = static_cast<std::uint8_t>(random.below(256));
  PageEnd<std::uint8_t> dst(g.out_pixels() * g.c * (p.dst == DType::f32 ? 4 : 1));
  row.run(p, {src.data(), dst.data()}, {});
  EXPECT_TRUE(dst.intact());
  return dst.copy();
}

void expect_equal(const char* pass, const PoolInt8Problem& p, std::uint64_t seed) {
  SCOPED_TRACE(p.str());
  const std::vector<std::uint8_t> wanted = run(hostile::reference_row(pool_int8_rows(), pass, "int8"), p, seed);
  hostile::for_own_rows(pool_int8_rows(), pass, "int8", [&](const PoolInt8Row& row) {
    hostile::for_threads([&] { EXPECT_TRUE(hostile::same_bits(wanted, run(row, p, seed))); });
  });
}

std::vector<ConvGeometry> geometries() {
  std::vector<ConvGeometry> list;
  for (std::int64_t c : {1, 3, 8, 15, 16, 17, 33, 64}) {
    list.push_back({2, 4, 4, c, c, 4, 4, 1, 1, 0, 0});  // global
    list.push_back({1, 7, 6, c, c, 3, 3, 2, 2, 1, 1});
    list.push_back({3, 5, 3, c, c, 2, 3, 1, 2, 1, 2});
    list.push_back({2, 1, 1, c, c, 1, 1, 1, 1, 0, 0});
  }
  return list;
}

TEST(PoolInt8, MaxRowsAgree) {
  std::uint64_t seed = 1;
  for (const ConvGeometry& g : geometries())
    for (DType type : {DType::u8, DType::s8}) expect_equal("max_pool_int8_fwd", {g, type, type}, seed++);
}

TEST(PoolInt8, AverageRowsAgree) {
  std::uint64_t seed = 100;
  for (const ConvGeometry& g : geometries()) {
    for (DType type : {DType::u8, DType::s8}) {
      expect_equal("avg_pool_int8_fwd", {g, type, DType::u8, 0, 0, 0.03f, 0.021f, 0, 255}, seed++);
      expect_equal("avg_pool_int8_fwd", {g, type, DType::s8, 7, -4, 0.5f, 0.25f, -128, 127}, seed++);  // ties
      expect_equal("avg_pool_int8_fwd", {g, type, DType::f32, 100, 0, 0.03f, 1.0f, 0, 0}, seed++);
    }
  }
}

TEST(PoolInt8, ValuesByHand) {
  const std::int8_t src[] = {-128, 5, 3, -7};  // 2x2 map, one channel
  const ConvGeometry padded{1, 2, 2, 1, 1, 2, 2, 1, 1, 1, 1};
  for (const PoolInt8Row& row : pool_int8_rows()) {
    if (!hostile::runnable(row)) continue;
    std::int8_t dst[9];
    if (same_text(row.pass, "max_pool_int8_fwd")) {
      row.run({padded, DType::s8, DType::s8}, {src, dst}, {});
      EXPECT_EQ(std::vector<int>(dst, dst + 9), (std::vector<int>{-128, 5, 5, 3, 5, 5, 3, 3, -7})) << row.impl;
    } else {
      // zero point 1, steps equal: the mean of the codes less one, around 2; padding is not counted
      row.run({padded, DType::s8, DType::s8, 1, 2, 0.5f, 0.5f, -128, 127}, {src, dst}, {});
      EXPECT_EQ(std::vector<int>(dst, dst + 9), (std::vector<int>{-127, -60, 6, -62, -31, 0, 4, -1, -6})) << row.impl;
    }
  }
}

}  // namespace
}  // namespace octet::kernels
