#include "core/dtype.h"

#include "core/error.h"

namespace octet {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::s8:
    case DType::u8:
      return 1;
    case DType::s32:
      return 4;
  }
  fail("dtype", fmt::format("no dtype has number {}", static_cast<int>(dtype)));
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::s8:
      return "s8";
    case DType::u8:
      return "u8";
    case DType::s32:
      return "s32";
  }
  fail("dtype", fmt::format("no dtype has number {}", static_cast<int>(dtype)));
}

}  // namespace octet
