// Fused convolutions on the device: the source is mapped by a pass of its own, the late gradient added while the
// product loads its operands; tallies are taken from its tiles, those of the map's gradient behind windows by a pass of
// their own. For every Math of cuda_gemm.h.
#pragma once
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda_readers.h"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/cuda_map_source.h"

namespace octet::kernels {
namespace {

inline int i32(std::int64_t x) { return static_cast<int>(x); }

inline bool has_map(const ConvBnProblem& p) { return p.mapped || p.act != Activation::none || p.quantized; }

/// Can operands that the channels of src (x: behind its map), or of dst, run along be read by quads?
inline bool src_by_quads(const ConvBnProblem& p, const float* x, const ConvBnPointers& io) {
  return p.geometry.c % 4 == 0 && aligned(x) && aligned(io.weight);
}
inline bool dst_by_quads(const ConvBnProblem& p, const ConvBnPointers& io) {
  return p.geometry.k % 4 == 0 && aligned(io.d_dst) && aligned(io.z_dst) && aligned(io.slope) && aligned(io.offset);
}

/// Elements of d_dst with the late gradient, or as they are where there is none.
template <class Operand>
Through<Operand, LateSum> with_late(const ConvBnPointers& io, const Operand& d) {
  return {d, LateSum(io)};
}

template <class Math, class Pixels>
void forward(const ConvBnProblem& p, const ConvBnPointers& io, const Pixels& pixels, bool vectors, void* stream) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t depth = g.r * g.s * g.c;
  const Rows weight{io.weight, i32(g.k), depth};
  const TakeMoments moments(p, io);
  if (moments.wanted())
    multiply_tallied<Math>(pixels, weight, g.out_pixels(), g.k, depth, vectors, moments, io.dst, stream);
  else
    multiply<Math>(pixels, weight, g.out_pixels(), g.k, depth, vectors, nullptr, io.dst, stream);
}

template <class Math>
void source_gradient(const ConvBnProblem& p, const ConvBnPointers& io, void* stream) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t pixels = g.n * g.h * g.w;
  const bool vectors = src_by_quads(p, io.src, io) && dst_by_quads(p, io);
  const MapGradient through(p, io);
  if (g.is_pointwise())
    return multiply_tallied<Math>(with_late(io, Rows{io.d_dst, i32(pixels), g.k}), Columns{io.weight, i32(g.c)}, pixels,
                                  g.c, g.k, vectors, through, io.d_src, stream);
  gather_gradient<Math>(
      g, io.d_dst, [&](const WindowRows& d) { return with_late(io, d); }, io.weight, vectors, io.d_src, stream);
  if (has_map(p)) tally_in_memory(through, io.d_src, i32(pixels), i32(g.c), stream);
}

template <class Math>
void weight_gradient(const ConvBnProblem& p, const ConvBnPointers& io, void* stream) {
  const ConvGeometry& g = p.geometry;
  const MappedSource x(p, io, true, stream);
  const auto run = [&](const auto& src) {
    multiply<Math>(with_late(io, Columns{io.d_dst, i32(g.k)}), src, g.k, g.r * g.s * g.c, g.out_pixels(),
                   src_by_quads(p, x.data(), io) && dst_by_quads(p, io), nullptr, io.d_weight, stream);
  };
  if (g.is_pointwise())
    run(Columns{x.data(), i32(g.c)});
  else
    run(WindowColumns{Gather(g), x.data()});
}

template <class Math>
void run_forward(const ConvBnProblem& p, const ConvBnPointers& io, void* stream) {
  const ConvGeometry& g = p.geometry;
  const MappedSource x(p, io, false, stream);
  const bool vectors = src_by_quads(p, x.data(), io);
  if (g.is_pointwise())
    forward<Math>(p, io, Rows{x.data(), i32(g.out_pixels()), g.c}, vectors, stream);
  else
    forward<Math>(p, io, WindowRows{Gather(g), x.data()}, vectors, stream);
}

template <class Math>
void run_backward(const ConvBnProblem& p, const ConvBnPointers& io, void* stream) {
  if (io.d_src != nullptr) source_gradient<Math>(p, io, stream);
  if (io.d_weight != nullptr) weight_gradient<Math>(p, io, stream);
}

inline const char* refusal(const ConvBnProblem& p) {
  if (p.geometry.out_pixels() == 0) return "no pixels";
  return too_large_for_device(p.geometry);
}

}  // namespace
}  // namespace octet::kernels

/// A row of the device for `dtypes`, by `Math`.
#define OCTET_CONV2D_BN_DEVICE_ROW(dtypes, Math)                                                       \
  const char* OCTET_GPU_WHY_NOT(conv2d_bn_fwd_##dtypes)(const ConvBnProblem& p) { return refusal(p); } \
  void OCTET_GPU_NAME(conv2d_bn_fwd_##dtypes)(const ConvBnProblem& p, const ConvBnPointers& io,        \
                                              const Context& context) {                                \
    run_forward<Math>(p, io, context.stream);                                                          \
  }                                                                                                    \
  const char* OCTET_GPU_WHY_NOT(conv2d_bn_bwd_##dtypes)(const ConvBnProblem& p) { return refusal(p); } \
  void OCTET_GPU_NAME(conv2d_bn_bwd_##dtypes)(const ConvBnProblem& p, const ConvBnPointers& io,        \
                                              const Context& context) {                                \
    run_backward<Math>(p, io, context.stream);                                                         \
  }
