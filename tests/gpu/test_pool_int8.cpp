#include "kernels/pool_int8/pool_int8.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using Codes = std::vector<std::uint8_t>;

class GpuPoolInt8 : public test::OnDevice {};

void expect_equal(const char* pass, const PoolInt8Problem& p, std::uint64_t seed) {
  const ConvGeometry& g = p.geometry;
  Random random(seed, Purpose::test, 3);
  Codes src(static_cast<std::size_t>(g.n * g.h * g.w * g.c));
  for (std::uint8_t& c : src) c = static_cast<std::uint8_t>(random.below(256));
  Codes wanted(static_cast<std::size_t>(g.out_pixels() * g.c * (p.dst == DType::f32 ? 4 : 1)));
  test::reference_row(pool_int8_rows(), pass, "int8").run(p, {src.data(), wanted.data()}, {});
  const PoolInt8Row* row = test::device_row(pool_int8_rows(), pass, "int8", p);
  ASSERT_NE(row, nullptr);
  Buffer<std::uint8_t> dsrc(src), dst(wanted.size());
  row->run(p, {dsrc, dst}, context_of(Device::cuda));
  EXPECT_TRUE(hostile::same_bits(wanted, dst.values())) << pass << ' ' << p.str();
}

std::vector<ConvGeometry> geometries() {
  std::vector<ConvGeometry> list;
  for (const std::int64_t c : {1, 3, 8, 33, 64}) {
    list.push_back({2, 4, 4, c, c, 4, 4, 1, 1, 0, 0});  // global
    list.push_back({1, 7, 6, c, c, 3, 3, 2, 2, 1, 1});
    list.push_back({3, 5, 3, c, c, 2, 3, 1, 2, 1, 2});
    list.push_back({2, 1, 1, c, c, 1, 1, 1, 1, 0, 0});
  }
  return list;
}

TEST_F(GpuPoolInt8, MaximaAreTheReferences) {
  std::uint64_t seed = 1;
  for (const ConvGeometry& g : geometries())
    for (const DType type : {DType::u8, DType::s8}) expect_equal("max_pool_int8_fwd", {g, type, type}, seed++);
}

TEST_F(GpuPoolInt8, AveragesAreTheReferences) {
  std::uint64_t seed = 100;
  for (const ConvGeometry& g : geometries())
    for (const DType type : {DType::u8, DType::s8}) {
      expect_equal("avg_pool_int8_fwd", {g, type, DType::u8, 0, 0, 0.03f, 0.021f, 0, 255}, seed++);
      expect_equal("avg_pool_int8_fwd", {g, type, DType::s8, 7, -4, 0.5f, 0.25f, -128, 127}, seed++);  // ties
      expect_equal("avg_pool_int8_fwd", {g, type, DType::f32, 100, 0, 0.03f, 1.0f, 0, 0}, seed++);
    }
}

}  // namespace
}  // namespace octet::kernels
