#include "core/device.h"

namespace octet {

const char* name_of(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

}  // namespace octet
