// Fused convolutions on the device. A pointwise one maps its source, and adds the late gradient, while it loads its
// operands; windows take a plain source, and their late gradient is added by a pass of its own. Tallies are taken from
// the tiles of the product.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda_gemm.h"
#include "kernels/conv2d_bn/conv2d_bn.h"

namespace octet::kernels {
namespace {

int i32(std::int64_t x) { return static_cast<int>(x); }

__device__ inline float4 mapped_quad(const ChannelMap& map, float4 z, int c) {
  return make_float4(map.value(z.x, c), map.value(z.y, c + 1), map.value(z.z, c + 2), map.value(z.w, c + 3));
}

/// Pixels by channels of map(src).
struct MappedRows {
  static constexpr bool kAlongDepth = true;
  Rows rows;
  ChannelMap map;
  using Line = Rows::Line;
  __device__ float at(int outer, int d) const { return outer < rows.lines ? map.value(rows.at(outer, d), d) : 0.0f; }
  __device__ Line line(int outer) const { return rows.line(outer); }
  __device__ float4 quad(Line line, int d) const {
    return line != nullptr ? mapped_quad(map, rows.quad(line, d), d) : no_quad();
  }
};
/// Channels by pixels of map(src).
struct MappedColumns {
  static constexpr bool kAlongDepth = false;
  Columns columns;
  ChannelMap map;
  using Line = Columns::Line;
  __device__ float at(int outer, int d) const {
    return outer < columns.lines ? map.value(columns.at(outer, d), outer) : 0.0f;
  }
  __device__ Line line(int outer) const { return outer; }
  __device__ float4 quad(Line outer, int d) const {
    return outer < columns.lines ? mapped_quad(map, columns.quad(outer, d), outer) : no_quad();
  }
};

__device__ inline float4 late_quad(const LateSum& late, std::int64_t i, int k) {
  return make_float4(late.at(i, k), late.at(i + 1, k + 1), late.at(i + 2, k + 2), late.at(i + 3, k + 3));
}

/// Pixels by filters of d.
struct LateRows {
  static constexpr bool kAlongDepth = true;
  LateSum late;
  int lines, k;
  using Line = int;
  __device__ std::int64_t index(int outer, int d) const { return static_cast<std::int64_t>(outer) * k + d; }
  __device__ float at(int outer, int d) const { return outer < lines ? late.at(index(outer, d), d) : 0.0f; }
  __device__ Line line(int outer) const { return outer; }
  __device__ float4 quad(Line outer, int d) const {
    return outer < lines ? late_quad(late, index(outer, d), d) : no_quad();
  }
};
/// Filters by pixels of d.
struct LateColumns {
  static constexpr bool kAlongDepth = false;
  LateSum late;
  int k;
  using Line = int;
  __device__ std::int64_t index(int outer, int d) const { return static_cast<std::int64_t>(d) * k + outer; }
  __device__ float at(int outer, int d) const { return outer < k ? late.at(index(outer, d), outer) : 0.0f; }
  __device__ Line line(int outer) const { return outer; }
  __device__ float4 quad(Line outer, int d) const {
    return outer < k ? late_quad(late, index(outer, d), outer) : no_quad();
  }
};

__global__ void add_late(LateSum late, float* d, std::size_t count, int k) {
  OCTET_GRID_LOOP(i, count)
  d[i] = late.at(static_cast<std::int64_t>(i), static_cast<int>(i % static_cast<std::size_t>(k)));
}

bool has_map(const ConvBnProblem& p) { return p.mapped || p.act != Activation::none || p.quantized; }

template <class Pixels>
void forward(const ConvBnProblem& p, const ConvBnPointers& io, const Pixels& pixels, void* stream) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t depth = g.r * g.s * g.c;
  const bool vectors = g.c % 4 == 0 && aligned(io.src) && aligned(io.weight);
  const Rows weight{io.weight, i32(g.k), depth};
  const TakeMoments moments(p, io);
  if (moments.wanted())
    multiply_tallied(pixels, weight, g.out_pixels(), g.k, depth, vectors, moments, io.dst, stream);
  else
    multiply(pixels, weight, g.out_pixels(), g.k, depth, vectors, nullptr, io.dst, stream);
}

/// Both gradients of a pointwise convolution.
void pointwise_backward(const ConvBnProblem& p, const ConvBnPointers& io, void* stream) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t pixels = g.out_pixels();
  const LateSum late(io);
  const bool vectors =
      g.c % 4 == 0 && g.k % 4 == 0 && aligned(io.src) && aligned(io.d_dst) && aligned(io.z_dst) && aligned(io.weight);
  if (io.d_src != nullptr) {
    const LateRows d{late, i32(pixels), i32(g.k)};
    const Columns weight{io.weight, i32(g.c)};
    if (has_map(p))
      multiply_tallied(d, weight, pixels, g.c, g.k, vectors, MapGradient(p, io), io.d_src, stream);
    else
      multiply(d, weight, pixels, g.c, g.k, vectors, nullptr, io.d_src, stream);
  }
  if (io.d_weight == nullptr) return;
  const MappedColumns src{{io.src, i32(g.c)}, ChannelMap(p, io)};
  multiply(LateColumns{late, i32(g.k)}, src, g.k, g.c, pixels, vectors, nullptr, io.d_weight, stream);
}

/// Both gradients of a convolution with windows, whose source is plain: the plain rows', of d in memory.
void windows_backward(const ConvBnProblem& p, const ConvBnPointers& io, const Context& context) {
  const ConvGeometry& g = p.geometry;
  const auto count = static_cast<std::size_t>(g.out_pixels() * g.k);
  Conv2dPointers plain;
  plain.src = io.src, plain.weight = io.weight, plain.d_dst = io.d_dst, plain.d_src = io.d_src,
  plain.d_weight = io.d_weight;
  float* d = nullptr;
  if (io.slope != nullptr) {
    d = static_cast<float*>(gpu::scratch_acquire(count * sizeof(float)));
    OCTET_LAUNCH(add_late, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, LateSum(io), d, count, i32(g.k));
    plain.d_dst = d;
  }
  if (io.d_src != nullptr) OCTET_GPU_NAME(conv2d_bwd_data_f32)(g, plain, context);
  if (io.d_weight != nullptr) OCTET_GPU_NAME(conv2d_bwd_weight_f32)(g, plain, context);
  if (d != nullptr) gpu::scratch_release(d, count * sizeof(float));
}

const char* refusal(const ConvBnProblem& p) {
  if (!p.geometry.is_pointwise() && has_map(p)) return "windows take a plain source";
  if (p.geometry.out_pixels() == 0) return "no pixels";
  return too_large_for_device(p.geometry);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(conv2d_bn_fwd_f32)(const ConvBnProblem& p) { return refusal(p); }
void OCTET_GPU_NAME(conv2d_bn_fwd_f32)(const ConvBnProblem& p, const ConvBnPointers& io, const Context& context) {
  const ConvGeometry& g = p.geometry;
  const Rows rows{io.src, i32(g.out_pixels()), g.c};
  if (!g.is_pointwise())
    forward(p, io, WindowRows{Gather(g), io.src}, context.stream);
  else if (has_map(p))
    forward(p, io, MappedRows{rows, ChannelMap(p, io)}, context.stream);
  else
    forward(p, io, rows, context.stream);
}

const char* OCTET_GPU_WHY_NOT(conv2d_bn_bwd_f32)(const ConvBnProblem& p) { return refusal(p); }
void OCTET_GPU_NAME(conv2d_bn_bwd_f32)(const ConvBnProblem& p, const ConvBnPointers& io, const Context& context) {
  p.geometry.is_pointwise() ? pointwise_backward(p, io, context.stream) : windows_backward(p, io, context);
}

}  // namespace octet::kernels
