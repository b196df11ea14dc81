// Where a tensor's memory lies.
#pragma once
#include <cstdint>

namespace octet {

enum class Device : std::uint8_t { cpu, cuda };
const char* name_of(Device);

}  // namespace octet
