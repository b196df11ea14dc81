// What the rows of vpdpbusd share: both ways to sum, groups of four codes. s8 codes are shifted by 128 to u8 when
// interleaved, which the packed bias takes back. Included by a file that defines what windows.inl lists.
#include "kernels/dwconv2d_int8/vector.inl"
#include "kernels/dwconv2d_int8/windows.inl"

namespace octet::kernels {
namespace {

/// Few outputs to a row do not repay columns that are interleaved once, and see much padding.
bool by_windows(const IntConvProblem& p) {
  return p.geometry.out_w() <= 4 && dw_windows_why_not(p.geometry) == nullptr;
}

std::size_t packed_bytes(const IntConvProblem& p) {
  if (by_windows(p)) return dw_windows_bytes(p.geometry, kLanes);
  const DwLayout layout = layout_of(p);
  return static_cast<std::size_t>(layout.blocks) * layout.block_bytes;
}

void pack(const IntConvProblem& p, const IntConvWeights& w, std::int32_t zero, void* packed) {
  if (by_windows(p))
    pack_dw_windows(p, kLanes, w, zero, packed);
  else
    pack_depthwise(p, layout_of(p), kLaneChannel.of, w, zero, packed);
}

template <bool Signed>
void run_either(const IntConvProblem& p, const IntConvPointers& x) {
  if (by_windows(p))
    run_windows<Signed>(p, x);
  else
    run<Signed>(p, x);
}

}  // namespace

#define OCTET_DW_VNNI_ROW(dtypes, impl, is_signed)                                                                    \
  const char* dwconv2d_int8_fwd_##dtypes##_##impl##_why_not(const IntConvProblem&) { return nullptr; }                \
  void dwconv2d_int8_fwd_##dtypes##_##impl(const IntConvProblem& p, const IntConvPointers& x, const Context&) {       \
    run_either<is_signed>(p, x);                                                                                      \
  }                                                                                                                   \
  std::size_t dwconv2d_int8_fwd_##dtypes##_##impl##_packed_bytes(const IntConvProblem& p) { return packed_bytes(p); } \
  void dwconv2d_int8_fwd_##dtypes##_##impl##_pack(const IntConvProblem& p, const IntConvWeights& w, void* packed) {   \
    pack(p, w, p.z_x + (is_signed ? 128 : 0), packed);                                                                \
  }
}  // namespace octet::kernels
