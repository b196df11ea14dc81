#include "kernels/quantize/quantize.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuQuantize : public test::OnDevice {};

struct Extent {
  std::int64_t channels, inner;
};
const Extent kExtents[] = {{1, 1}, {1, 16}, {1, 1025}, {1, 4096}, {3, 1}, {5, 9}, {33, 28}};

QuantizeProblem problem_of(Extent extent, QuantRule rule, bool is_signed) {
  if (rule == QuantRule::paddle) return {extent.channels, extent.inner, 0, -127, 127, rule, true};
  return {extent.channels, extent.inner, is_signed ? -3 : 100, is_signed ? -128 : 0, is_signed ? 127 : 255, rule, true};
}

std::vector<float> scales_of(const QuantizeProblem& p) {
  const float special[] = {0.5f, 0.1f, 5.42101086e-20f, 1e-31f, 1e-40f, 3e38f, 1.0f, 1e10f};
  std::vector<float> scale(static_cast<std::size_t>(p.channels));
  for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = special[c % std::size(special)];
  return scale;
}

/// Runs both rows from `src`, from the place `off` elements behind the buffers' begin on the device; equal bits.
template <class From, class To>
void expect_equal(const char* pass, const char* dtypes, const QuantizeProblem& p, const std::vector<From>& src,
                  std::size_t off = 0) {
  const std::vector<float> scale = scales_of(p);
  std::vector<To> wanted(src.size());
  test::reference_row(quantize_rows(), pass, dtypes).run(p, {src.data(), scale.data(), wanted.data()}, {});
  const QuantizeRow* row = test::device_row(quantize_rows(), pass, dtypes, p);
  ASSERT_NE(row, nullptr);
  std::vector<From> behind(off + src.size());
  std::copy(src.begin(), src.end(), behind.begin() + static_cast<std::ptrdiff_t>(off));
  Buffer<From> dsrc(behind);
  Buffer<float> dscale(scale);
  Buffer<To> dst(src.size());
  row->run(p, {dsrc.data() + off, dscale, dst}, context_of(Device::cuda));
  EXPECT_TRUE(hostile::same_bits(wanted, dst.values())) << pass << ' ' << dtypes << ' ' << p.str();
}

TEST_F(GpuQuantize, CodesAreTheReferences) {
  for (const Extent& extent : kExtents) {
    const std::vector<float> src = hostile::mixed_values(extent.channels * extent.inner, 1);
    for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
      expect_equal<float, std::int8_t>("quantize_fwd", "f32s8", problem_of(extent, rule, true), src);
      expect_equal<float, std::int8_t>("quantize_fwd", "f32s8", problem_of(extent, rule, true), src, 1);
    }
    expect_equal<float, std::uint8_t>("quantize_fwd", "f32u8", problem_of(extent, QuantRule::onnx, false), src);
  }
}

template <class Code>
std::vector<Code> every_code(std::int64_t count) {
  std::vector<Code> codes(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<Code>(i * 37);
  return codes;
}

TEST_F(GpuQuantize, ValuesOfCodesAreTheReferences) {
  for (const Extent& extent : kExtents) {
    const std::int64_t count = extent.channels * extent.inner;
    for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
      expect_equal<std::int8_t, float>("dequantize_fwd", "s8f32", problem_of(extent, rule, true),
                                       every_code<std::int8_t>(count));
      expect_equal<std::uint8_t, float>("dequantize_fwd", "u8f32", problem_of(extent, rule, false),
                                        every_code<std::uint8_t>(count));
      expect_equal<std::uint8_t, float>("dequantize_fwd", "u8f32", problem_of(extent, rule, false),
                                        every_code<std::uint8_t>(count), 1);
    }
  }
}

}  // namespace
}  // namespace octet::kernels
