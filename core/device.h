// Where a tensor's memory lies. `cuda` is the device of core/gpu/gpu.h, of either kind.
#pragma once
#include <cstdint>

namespace octet {

enum class Device : std::uint8_t { cpu, cuda };
const char* name_of(Device);

}  // namespace octet
