// Codes of either dtype by their bits, for kernels that read the dtype at run time.
#pragma once
#include "core/dtype.h"
#include "core/host_device.h"

namespace octet::kernels {
namespace {

/// Of s8 the bit that is the sign, of u8 none: `bits ^ sign_bit` is ordered as the codes are.
inline std::int32_t sign_bit(DType type) { return type == DType::s8 ? 0x80 : 0; }
/// The code with these bits.
inline OCTET_HD std::int32_t code_of_bits(std::uint8_t bits, std::int32_t sign_bit) {
  return (bits ^ sign_bit) - sign_bit;
}

}  // namespace
}  // namespace octet::kernels
