// How threads of the device share out 3x3 windows: a thread computes kOutputs neighbours of a row and reads kColumns
// columns of three rows (or of those that the stride hits) for them.
#pragma once
#include "core/host_device.h"
#include "kernels/problem.h"

namespace octet::kernels {

/// Results from the source: result (p, q) reads rows p · stride - pad + r.
template <int kStride>
struct Forward3x3 {
  static constexpr int kOutputs = kStride == 1 ? 4 : 2, kColumns = (kOutputs - 1) * kStride + 3;
  /// First result of a group; may be negative, the group then begins with results that are none.
  static OCTET_HD int first(int group, int) { return group * kOutputs; }
  static OCTET_HD int groups(int results, int) { return (results + kOutputs - 1) / kOutputs; }
  /// Column of the source that is column 0 of the thread's.
  static OCTET_HD int left(int first, int pad) { return first * kStride - pad; }
  /// The thread's column that tap s of result k reads, -1 for none.
  static constexpr OCTET_HD int column(int k, int s) { return k * kStride + s; }
  /// The row that tap r reads, which may lie outside.
  static OCTET_HD int row(int at, int r, int pad) { return at * kStride - pad + r; }
};

/// The gradient of the source, gathered: place (y, x) reads the windows (y + pad - r) / stride, where that is whole.
template <int kStride>
struct Backward3x3;
template <>
struct Backward3x3<1> {
  static constexpr int kOutputs = 4, kColumns = 6;
  static OCTET_HD int first(int group, int) { return group * kOutputs; }
  static OCTET_HD int groups(int results, int) { return (results + kOutputs - 1) / kOutputs; }
  static OCTET_HD int left(int first, int pad) { return first + pad - 2; }
  static constexpr OCTET_HD int column(int k, int s) { return k + 2 - s; }
  static OCTET_HD int row(int at, int r, int pad) { return at + pad - r; }
};
/// Groups begin where x + pad is even, so that the taps of a result are known to the compiler.
template <>
struct Backward3x3<2> {
  static constexpr int kOutputs = 4, kColumns = 3;
  static OCTET_HD int first(int group, int pad) { return group * kOutputs - (pad & 1); }
  static OCTET_HD int groups(int results, int pad) { return (results + (pad & 1) + kOutputs - 1) / kOutputs; }
  static OCTET_HD int left(int first, int pad) { return (first + pad) / 2 - 1; }
  static constexpr OCTET_HD int column(int k, int s) { return (k - s) % 2 != 0 ? -1 : (k - s) / 2 + 1; }
  static OCTET_HD int row(int at, int r, int pad) { return ((at + pad - r) & 1) != 0 ? -1 : (at + pad - r) / 2; }
};

/// 1 or 2: windows 3x3 of that stride either way, which have kernels of their own; else 0.
inline int stride3x3(const ConvGeometry& g) {
  const bool own = g.r == 3 && g.s == 3 && g.stride_h == g.stride_w && g.stride_h <= 2;
  return own ? static_cast<int>(g.stride_h) : 0;
}

}  // namespace octet::kernels
