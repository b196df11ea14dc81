// vpmaddwd: two s16·s16 products into a lane, exact for codes of either sign and any weights.
#include "kernels/simd_avx2.h"

#include "kernels/conv2d_int8/gemm_work.h"
#include "kernels/conv2d_int8/vector_store.h"

namespace octet::kernels {
namespace {

using Operand = std::int16_t;
using Weight = std::int16_t;
constexpr int kGroup = 2, kRows = 6, kVectors = 2;

template <bool>
OCTET_SIMD VecI broadcast(const Operand* p) {
  std::int32_t group;
  __builtin_memcpy(&group, p, 4);
  return VecI::set1(group);
}
template <bool Signed>
OCTET_SIMD VecI broadcast_part(const Operand* p, int) {
  return broadcast<Signed>(p);
}
OCTET_SIMD VecI dot(VecI acc, VecI a, VecI b) { return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(a.v, b.v))}; }

/// Codes to s16.
template <bool Signed>
void convert(const std::uint8_t* codes, std::int64_t count, Operand* out) {
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        Signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x));
  }
  for (; i < count; ++i) out[i] = static_cast<Operand>(Signed ? static_cast<std::int8_t>(codes[i]) : Operand{codes[i]});
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/conv2d_int8/padded_lines.inl"

namespace octet::kernels {
namespace {

/// Scratch memory of a task: its operands.
std::size_t operand_bytes(const GemmWork& work) {
  const std::int64_t elements = work.direct ? work.block_pixels * work.layout.depth_padded : work.padded_elements();
  return static_cast<std::size_t>(elements) * sizeof(Operand);
}
/// The operands of a block, pixels padded to whole groups, and how far apart those of neighbouring pixels are.
template <bool Signed>
const Operand* prepare_operands(const IntConvProblem& problem, const GemmWork& work, const GemmBlock& block,
                                const void* src, void* scratch, std::int64_t& stride) {
  auto* out = static_cast<Operand*>(scratch);
  if (!work.direct) {
    stride = problem.geometry.stride_w * problem.geometry.c;
    pad_lines<Signed>(problem, work, block, src, out);
    return out;
  }
  const std::int64_t depth = work.layout.depth;
  const auto* codes = static_cast<const std::uint8_t*>(src) + block.first * depth;
  stride = work.layout.depth_padded;
  if (stride == depth) {
    convert<Signed>(codes, block.pixels * depth, out);
    return out;
  }
  for (std::int64_t pixel = 0; pixel < block.pixels; ++pixel) {
    convert<Signed>(codes + pixel * depth, depth, out + pixel * stride);
    out[pixel * stride + depth] = 0;
  }
  return out;
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/conv2d_int8/vector.inl"

#include "kernels/conv2d_int8/in_order.inl"

namespace octet::kernels {

#define OCTET_AVX2_ROW(dtypes, is_signed)                                                                          \
  const char* conv2d_int8_fwd_##dtypes##_avx2_why_not(const IntConvProblem&) { return nullptr; }                   \
  void conv2d_int8_fwd_##dtypes##_avx2(const IntConvProblem& p, const IntConvPointers& x, const Context&) {        \
    run<is_signed>(p, x);                                                                                          \
  }                                                                                                                \
  std::size_t conv2d_int8_fwd_##dtypes##_avx2_packed_bytes(const IntConvProblem& p) { return layout_of(p).bytes; } \
  void conv2d_int8_fwd_##dtypes##_avx2_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) {      \
    pack_columns(layout_of(p), sizeof(Weight), w, p.z_x, packed);                                                  \
  }
OCTET_AVX2_ROW(u8s8, false)
OCTET_AVX2_ROW(s8s8, true)
#undef OCTET_AVX2_ROW

}  // namespace octet::kernels
