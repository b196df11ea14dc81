#include "kernels/eltwise_int8/eltwise_int8.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using Codes = std::vector<std::uint8_t>;

class GpuEltwiseInt8 : public test::OnDevice {};

Codes random_codes(std::int64_t count, std::uint64_t seed) {
  Random random(seed, Purpose::test, 3);
  Codes codes(static_cast<std::size_t>(count));
  for (std::uint8_t& c : codes) c = static_cast<std::uint8_t>(random.below(256));
  return codes;
}

void expect_equal(const char* pass, const EltwiseInt8Problem& p) {
  const Codes a = random_codes(p.rows * p.c, 1), b = random_codes(p.rows * p.c, 2);
  const std::int64_t stride = p.dst_stride == 0 ? p.c : p.dst_stride;
  Codes wanted(static_cast<std::size_t>((p.rows - 1) * stride + p.c), 0xff);  // as a buffer is before
  test::reference_row(eltwise_int8_rows(), pass, "int8").run(p, {a.data(), b.data(), wanted.data()}, {});
  const EltwiseInt8Row* row = test::device_row(eltwise_int8_rows(), pass, "int8", p);
  ASSERT_NE(row, nullptr);
  Buffer<std::uint8_t> da(a), db(b), dst(wanted.size());
  row->run(p, {da, db, dst}, context_of(Device::cuda));
  EXPECT_TRUE(hostile::same_bits(wanted, dst.values())) << pass << ' ' << p.str();
  if (stride != p.c) return;
  Buffer<std::uint8_t> in_place(a);
  row->run(p, {in_place, db, in_place}, context_of(Device::cuda));
  EXPECT_TRUE(hostile::same_bits(wanted, in_place.values())) << pass << ' ' << p.str() << " in place";
}

TEST_F(GpuEltwiseInt8, CodesAreTheReferences) {
  for (const char* pass : {"add_int8_fwd", "requantize_int8_fwd"})
    for (const std::int64_t c : {1, 3, 4, 12, 16, 17, 48, 100})
      for (const DType a : {DType::u8, DType::s8})
        for (const DType b : {DType::u8, DType::s8}) {
          EltwiseInt8Problem p{5, c, 0, a, b, DType::u8, 0, 0, 0, 0.37f, 0.71f, 0, 255};
          for (const std::int64_t more : {0, 1, 4, 16}) {
            p.dst_stride = more == 0 ? 0 : c + more;
            expect_equal(pass, p);
          }
          p = {5, c, 0, a, b, DType::s8, 3, b == DType::s8 ? -100 : 100, -7, 0.5f, 0.25f, -100, 90};  // ties everywhere
          expect_equal(pass, p);
          p.m_a = 1e30f, p.m_b = -1e-30f, p.rows = 70;
          expect_equal(pass, p);
        }
}

}  // namespace
}  // namespace octet::kernels
