#include "core/gpu/pack.h"
#include "kernels/code_bits.h"
#include "kernels/pool_int8/window.h"

namespace octet::kernels {
namespace {

using gpu::load_pack;
using gpu::Pack;
using Byte = std::uint8_t;

/// Outputs in packs of channels: `units` in all, c_units of a pixel.
struct Outputs {
  ConvGeometry g;
  std::int64_t out_h, out_w;
  std::size_t units, c_units;
};

/// see(pack of codes) for each pixel of the window of an output; returns the window.
template <int kWidth, class See>
__device__ __forceinline__ Window over_window(const Byte* src, const Outputs& o, std::size_t unit, See see) {
  const std::size_t pixel = unit / o.c_units, row = pixel / static_cast<std::size_t>(o.out_w);
  const auto q = static_cast<std::int64_t>(pixel - row * static_cast<std::size_t>(o.out_w));
  const auto n = static_cast<std::int64_t>(row) / o.out_h;
  const Window window = window_of(o.g, static_cast<std::int64_t>(row) - n * o.out_h, q);
  const std::size_t c = unit - pixel * o.c_units;
  for (std::int64_t y = window.top; y < window.bottom; ++y) {
    const std::size_t first = static_cast<std::size_t>((n * o.g.h + y) * o.g.w) * o.c_units + c;
    for (std::int64_t x = window.left; x < window.right; ++x)
      see(load_pack<kWidth>(src, first + static_cast<std::size_t>(x) * o.c_units));
  }
  return window;
}

template <int kWidth>
__global__ void max_pool(const Byte* src, Byte* dst, Outputs o, std::int32_t sign) {
  OCTET_GRID_LOOP(unit, o.units) {
    std::int32_t best[kWidth] = {};  // of bits ^ sign, which are ordered as the codes
    over_window<kWidth>(src, o, unit, [&](const Pack<Byte, kWidth>& codes) {
      for (int i = 0; i < kWidth; ++i) {
        const std::int32_t ordered = codes.at[i] ^ sign;
        best[i] = ordered > best[i] ? ordered : best[i];
      }
    });
    Pack<Byte, kWidth> to;
    for (int i = 0; i < kWidth; ++i) to.at[i] = static_cast<Byte>(best[i] ^ sign);
    gpu::store_pack(dst, unit, to);
  }
}

/// The part of a problem that averages read.
struct Average {
  std::int32_t sign, z_x, z;
  float s_x, s_y;
  std::int32_t lo, hi;
  __device__ void store(std::int32_t sum, float m, float& to) const { to = static_cast<float>(sum) * m; }
  __device__ void store(std::int32_t sum, float m, Byte& to) const {
    to = static_cast<Byte>(qmath::requantize(sum, m, z, lo, hi));
  }
};

template <int kWidth, class To>
__global__ void avg_pool(const Byte* src, To* dst, Outputs o, Average a) {
  OCTET_GRID_LOOP(unit, o.units) {
    std::int32_t sum[kWidth] = {};
    const Window window = over_window<kWidth>(src, o, unit, [&](const Pack<Byte, kWidth>& codes) {
      for (int i = 0; i < kWidth; ++i) sum[i] += code_of_bits(codes.at[i], a.sign) - a.z_x;
    });
    const float m = qmath::average_multiplier(a.s_x, a.s_y, pixels_of(window));
    Pack<To, kWidth> to;
    for (int i = 0; i < kWidth; ++i) a.store(sum[i], m, to.at[i]);
    gpu::store_pack(dst, unit, to);
  }
}

template <int kWidth>
Outputs outputs_of(const ConvGeometry& g) {
  const std::size_t c_units = static_cast<std::size_t>(g.c) / kWidth;
  return {g, g.out_h(), g.out_w(), static_cast<std::size_t>(g.out_pixels()) * c_units, c_units};
}

template <int kWidth>
void launch_max(const PoolInt8Problem& p, const PoolInt8Pointers& x, void* stream) {
  const Outputs outputs = outputs_of<kWidth>(p.geometry);
  OCTET_LAUNCH(max_pool<kWidth>, gpu::loop_blocks(outputs.units), gpu::kLoopThreads, stream,
               static_cast<const Byte*>(x.src), static_cast<Byte*>(x.dst), outputs, sign_bit(p.src));
}

template <int kWidth, class To>
void launch_avg(const PoolInt8Problem& p, const PoolInt8Pointers& x, void* stream) {
  const Outputs outputs = outputs_of<kWidth>(p.geometry);
  const Average average{sign_bit(p.src), p.z_x, p.z, p.s_x, p.s_y, p.lo, p.hi};
  OCTET_LAUNCH((avg_pool<kWidth, To>), gpu::loop_blocks(outputs.units), gpu::kLoopThreads, stream,
               static_cast<const Byte*>(x.src), static_cast<To*>(x.dst), outputs, average);
}

template <class To>
void run_avg(const PoolInt8Problem& p, const PoolInt8Pointers& x, void* stream) {
  const auto c = static_cast<std::size_t>(p.geometry.c);
  const bool four = gpu::packable(c, 4, 4, {x.src}) && gpu::packable(c, 4, 4 * sizeof(To), {x.dst});
  four ? launch_avg<4, To>(p, x, stream) : launch_avg<1, To>(p, x, stream);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(max_pool_int8_fwd_int8)(const PoolInt8Problem&) { return nullptr; }
void OCTET_GPU_NAME(max_pool_int8_fwd_int8)(const PoolInt8Problem& p, const PoolInt8Pointers& x,
                                            const Context& context) {
  gpu::packable(static_cast<std::size_t>(p.geometry.c), 4, 4, {x.src, x.dst}) ? launch_max<4>(p, x, context.stream)
                                                                              : launch_max<1>(p, x, context.stream);
}
const char* OCTET_GPU_WHY_NOT(avg_pool_int8_fwd_int8)(const PoolInt8Problem&) { return nullptr; }
void OCTET_GPU_NAME(avg_pool_int8_fwd_int8)(const PoolInt8Problem& p, const PoolInt8Pointers& x,
                                            const Context& context) {
  p.dst == DType::f32 ? run_avg<float>(p, x, context.stream) : run_avg<Byte>(p, x, context.stream);
}

}  // namespace octet::kernels
