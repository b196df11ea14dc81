// What the device's integer rows share: codes of either dtype as s8, so that one dp4a serves both, and stores of four
// outputs.
//   u8 codes are read less 128, which is a flipped bit; what is subtracted beyond z_x is folded into the bias when
//   packing.
#pragma once
#include "core/gpu/pack.h"
#include "kernels/conv2d_int8/int_store.h"
#include "kernels/conv2d_int8/packed.h"

namespace octet::kernels {
namespace {

/// Flips codes to s8, four at a time.
inline unsigned flip_of(const IntConvProblem& p) { return p.src == DType::u8 ? 0x80808080u : 0u; }
/// Four codes of the padding, as src has them.
inline unsigned padding_of(const IntConvProblem& p) { return 0x01010101u * static_cast<std::uint8_t>(p.z_x); }
/// What the flipped codes are too large by.
inline std::int32_t flipped_zero(const IntConvProblem& p) { return p.z_x - (p.src == DType::u8 ? 128 : 0); }

/// Four codes from a place; only the first `count` where kWhole does not promise them all, zero bits for the others.
template <bool kWhole>
__device__ __forceinline__ unsigned load_codes(const std::uint8_t* from, int count) {
  if constexpr (kWhole) return *reinterpret_cast<const unsigned*>(from);
  unsigned codes = 0;
  for (int i = 0; i < 4; ++i)
    if (i < count) codes |= static_cast<unsigned>(from[i]) << 8 * i;
  return codes;
}

/// The constants of columns [k, k + 4), k a multiple of 4.
struct StoreConstants {
  gpu::Pack<std::int32_t, 4> bias;
  gpu::Pack<float, 4> multiplier, bias_f32;
  __device__ StoreConstants(const PackedView& view, std::size_t k)
      : bias(gpu::load_pack<4>(view.bias, k / 4)),
        multiplier(gpu::load_pack<4>(view.multiplier, k / 4)),
        bias_f32(gpu::load_pack<4>(view.bias_f32, k / 4)) {}
};

template <class To>
__device__ __forceinline__ void store_as(const IntStore& store, std::int32_t a, float multiplier, float bias, To& to) {
  if constexpr (sizeof(To) == 1)
    to = stored_code(store, a, multiplier, bias);
  else
    to = stored_float(store, a, multiplier, bias);
}

/// dst[0..4) from accumulators without their bias; the first `count` where kWhole does not promise them all.
template <class To, bool kWhole>
__device__ __forceinline__ void store_four(const IntStore& store, const int (&sum)[4], const StoreConstants& k, To* dst,
                                           int count) {
  gpu::Pack<To, 4> to;
  for (int i = 0; i < 4; ++i) {
    const auto a = static_cast<std::int32_t>(static_cast<unsigned>(sum[i]) + static_cast<unsigned>(k.bias.at[i]));
    store_as(store, a, k.multiplier.at[i], k.bias_f32.at[i], to.at[i]);
  }
  if constexpr (kWhole) {
    gpu::store_pack(dst, 0, to);
  } else {
    for (int i = 0; i < 4; ++i)
      if (i < count) dst[i] = to.at[i];
  }
}

}  // namespace
}  // namespace octet::kernels
