#include "kernels/conv2d/gpu_index.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 30;  // room for a tile's and a window's overhang

/// Is the product of the extents below the limit? Each is looked at before it is multiplied.
bool fits(std::initializer_list<std::int64_t> extents) {
  std::int64_t product = 1;
  for (const std::int64_t extent : extents) {
    if (extent > kMost || (extent > 0 && product > kMost / extent)) return false;
    product *= extent;
  }
  return true;
}

}  // namespace

const char* too_large_for_device(const ConvGeometry& g) {
  const bool sides = fits({g.h}) && fits({g.w}) && fits({g.pad_h}) && fits({g.pad_w}) && fits({g.stride_h}) &&
                     fits({g.stride_w}) && fits({g.h + 2 * g.pad_h}) && fits({g.w + 2 * g.pad_w});
  if (!sides) return "a side, a stride or padding is too large for 32-bit indices";
  if (!fits({g.n, g.h, g.w}) || !fits({g.n, g.out_h(), g.out_w()})) return "too many pixels for 32-bit indices";
  if (!fits({g.h, g.w, g.c}) || !fits({g.out_h(), g.out_w(), g.k})) return "a picture is too large for 32-bit indices";
  if (!fits({g.k, g.r, g.s, g.c})) return "the weight is too large for 32-bit indices";
  return nullptr;
}

}  // namespace octet::kernels
