// What the rows that multiply u8 by s8 do with src: pixels as they lie, or gathered. s8 codes are shifted by 128 to u8 on
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

/// Scratch memory of a task.
std::size_t operand_bytes(const GemmWork& work) {
  return work.direct ? 0 : static_cast<std::size_t>(work.block_rows * work.layout.depth_padded + kGatherSlack);
}
/// The rows of a block.
template <bool Signed>
void prepare_rows(const IntConvProblem& problem, const GemmWork& work, const void* src, std::int64_t first,
                  std::int64_t count, void* scratch, const Operand*& rows, std::int64_t& stride) {
  if (work.direct) {
    rows = static_cast<const Operand*>(src) + first * work.layout.depth;
    stride = work.layout.depth;
    return;
  }
  gather_rows(problem, src, first, count, work.layout.depth_padded, static_cast<std::uint8_t*>(scratch));
  rows = static_cast<const Operand*>(scratch);
  stride = work.layout.depth_padded;
}

}  // namespace
}  // namespace octet::kernels
