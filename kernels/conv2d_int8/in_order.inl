// The sums of a tile over the depth for rows whose dot() takes any weights: groups in the order of the depth. Included after
// vector.inl by a file that has defined dot(acc, a, b): acc + Σ a·b of a lane's group, modulo 2^32.
namespace octet::kernels {
namespace {

/// One group: `load(m)` gives row m's codes in every lane.
template <int M, class Load>
OCTET_SIMD void multiply_group(VecI (&acc)[M][kVectors], const Weight* b, const Load& load) {
  VecI column[kVectors];
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v)
    column[v] = VecI::load(reinterpret_cast<const std::int32_t*>(b + v * VecI::width * kGroup));
  OCTET_UNROLL
  for (int m = 0; m < M; ++m) {
    const VecI x = load(m);
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[m][v] = dot(acc[m][v], x, column[v]);
  }
}

template <bool Signed, int M>
OCTET_SIMD void multiply_depth(VecI (&acc)[M][kVectors], const TileContext& t, const Operand* rows) {
  const Weight* b = t.panel;
  for (std::int64_t segment = 0; segment < t.segments; ++segment, rows += t.segment_stride) {
    const Operand* a = rows;
    for (std::int64_t g = 0; g < t.groups; ++g, a += kGroup, b += kPanel * kGroup)
      multiply_group(
          acc, b, [&](int m) __attribute__((always_inline)) { return broadcast<Signed>(a + m * t.row_stride); });
    if (t.rest > 0)
      multiply_group(
          acc, b, [&](int m) __attribute__((always_inline)) {
            return broadcast_part<Signed>(a + m * t.row_stride, t.rest);
          });
  }
}

const std::int32_t* panel_order(const PackedLayout&, const void*, std::int64_t) { return nullptr; }

}  // namespace
}  // namespace octet::kernels
