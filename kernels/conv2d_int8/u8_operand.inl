// What the rows that multiply u8 by s8 do with src: pixels as they lie, or padded lines. s8 codes are shifted by 128 to u8 on
// their way into the register, which the packed bias takes back. Included after a simd header by a file that has defined Operand (u8) and
// kGroup (4).
#include "kernels/conv2d_int8/gemm_work.h"

namespace octet::kernels {
namespace {

/// kGroup codes into every lane.
template <bool Signed>
OCTET_SIMD VecI broadcast(const Operand* p) {
  std::int32_t group;
  __builtin_memcpy(&group, p, 4);
  const VecI x = VecI::set1(group);
  return Signed ? x ^ VecI::set1(static_cast<std::int32_t>(0x80808080u)) : x;
}
/// n < kGroup of them: elements beyond n meet zero weights, whatever they are.
template <bool Signed>
OCTET_SIMD VecI broadcast_part(const Operand* p, int n) {
  Operand group[kGroup] = {};
  for (int i = 0; i < n; ++i) group[i] = p[i];
  return broadcast<Signed>(group);
}

template <bool>
void convert(const std::uint8_t* codes, std::int64_t count, Operand* out) {
  __builtin_memcpy(out, codes, static_cast<std::size_t>(count));
}

}  // namespace
}  // namespace octet::kernels

#include "kernels/conv2d_int8/padded_lines.inl"

namespace octet::kernels {
namespace {

/// Scratch memory of a task.
std::size_t operand_bytes(const GemmWork& work) {
  return work.direct ? 0 : static_cast<std::size_t>(work.padded_elements());
}
/// The operands of a block, and how far apart those of neighbouring pixels are.
template <bool Signed>
const Operand* prepare_operands(const IntConvProblem& problem, const GemmWork& work, const GemmBlock& block,
                                const void* src, void* scratch, std::int64_t& stride) {
  if (work.direct) {
    stride = work.layout.depth;
    return static_cast<const Operand*>(src) + block.first * stride;
  }
  stride = problem.geometry.stride_w * problem.geometry.c;
  pad_lines<Signed>(problem, work, block, src, static_cast<Operand*>(scratch));
  return static_cast<const Operand*>(scratch);
}

}  // namespace
}  // namespace octet::kernels
