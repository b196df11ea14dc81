// Element types of tensors.
#pragma once
#include <cstddef>
#include <cstdint>

namespace octet {

/// bf16 is storage only: the upper half of an f32.
enum class DType : std::uint8_t { f32, f64, bf16, s8, u8, s32 };

/// Bytes of one element.
std::size_t size_of(DType);
/// "f32", "s8", … as used in messages and kernel names.
const char* name_of(DType);

struct BFloat16 {
  std::uint16_t bits;
};

/// dtype_of<float> == DType::f32, and so on.
template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0, "no such dtype");
  return DType::f32;
}();
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::s8;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::s32;

}  // namespace octet
