#include "kernels/eltwise_int8/eltwise_int8.h"

#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using hostile::PageEnd;

std::vector<std::uint8_t> random_codes(std::int64_t count, std::uint64_t seed) {
  Random random(seed, Purpose::test, 3);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(count));
  for (std::uint8_t& c : codes) c = static_cast<std::uint8_t>(random.below(256));
  return codes;
}

std::vector<std::uint8_t> run(const EltwiseInt8Row& row, const EltwiseInt8Problem& p) {
  const PageEnd<std::uint8_t> a(random_codes(p.rows * p.c, 1)), b(random_codes(p.rows * p.c, 2));
  const std::int64_t stride = p.dst_stride == 0 ? p.c : p.dst_stride;
  PageEnd<std::uint8_t> dst((p.rows - 1) * stride + p.c);
  row.run(p, {a.data(), b.data(), dst.data()}, {});
  EXPECT_TRUE(dst.intact());
  return dst.copy();
}

void expect_equal(const EltwiseInt8Problem& p) {
  SCOPED_TRACE(p.str());
  for (const char* pass : {"add_int8_fwd", "requantize_int8_fwd"}) {
    const std::vector<std::uint8_t> wanted = run(hostile::reference_row(eltwise_int8_rows(), pass, "int8"), p);
    hostile::for_own_rows(eltwise_int8_rows(), pass, "int8", [&](const EltwiseInt8Row& row) {
      hostile::for_threads([&] { EXPECT_TRUE(hostile::same_bits(wanted, run(row, p))); });
    });
  }
}

std::vector<EltwiseInt8Problem> problems() {
  std::vector<EltwiseInt8Problem> list;
  for (std::int64_t c : {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100}) {
    for (DType a : {DType::u8, DType::s8}) {
      for (DType b : {DType::u8, DType::s8}) {
        EltwiseInt8Problem p{5, c, c % 2 == 0 ? 0 : c + 4, a, b, DType::u8, 0, 0, 0, 0.37f, 0.71f, 0, 255};
        list.push_back(p);
        p = {5, c, 0, a, b, DType::s8, 3, 100, -7, 0.5f, 0.25f, -100, 90};  // ties everywhere
        if (b == DType::s8) p.z_b = -100;
        list.push_back(p);
        p.m_a = 1e30f, p.m_b = -1e-30f, p.rows = 700;
        list.push_back(p);
      }
    }
  }
  return list;
}

TEST(EltwiseInt8, RowsAgree) {
  for (const EltwiseInt8Problem& p : problems()) expect_equal(p);
}

TEST(EltwiseInt8, AddIsTheRule) {
  EltwiseInt8Problem p{1, 3, 0, DType::u8, DType::s8, DType::u8, 10, -2, 4, 0.5f, 1.5f, 0, 255};
  const std::uint8_t a[] = {11, 10, 255};
  const std::int8_t b[] = {-2, -128, 127};
  for (const EltwiseInt8Row& row : eltwise_int8_rows()) {
    if (!hostile::runnable(row) || !same_text(row.pass, "add_int8_fwd")) continue;
    std::uint8_t dst[3];
    row.run(p, {a, b, dst}, {});
    EXPECT_EQ(dst[0], 4);    // 0.5 rounds to even 0, then the zero point
    EXPECT_EQ(dst[1], 0);    // -189 + 4, clamped
    EXPECT_EQ(dst[2], 255);  // 122.5 + 193.5 + 4, clamped
  }
}

TEST(EltwiseInt8, RequantizeWithOneIsRelu) {
  EltwiseInt8Problem p{1, 4, 0, DType::s8, DType::u8, DType::s8, -3, 0, -3, 1.0f, 1.0f, -3, 127};
  const std::int8_t a[] = {-128, -4, -3, 127};
  for (const EltwiseInt8Row& row : eltwise_int8_rows()) {
    if (!hostile::runnable(row) || !same_text(row.pass, "requantize_int8_fwd")) continue;
    std::int8_t dst[4];
    row.run(p, {a, nullptr, dst}, {});
    EXPECT_EQ(std::vector<int>(dst, dst + 4), (std::vector<int>{-3, -3, -3, 127})) << row.impl;
  }
}

TEST(EltwiseInt8, CopiesRowsIntoSlices) {
  const std::uint8_t src[] = {1, 2, 3, 4};
  std::uint8_t dst[7] = {};
  copy_code_rows(src, 2, 2, dst + 1, 4);
  EXPECT_EQ(std::vector<int>(dst, dst + 7), (std::vector<int>{0, 1, 2, 0, 0, 3, 4}));
}

}  // namespace
}  // namespace octet::kernels
