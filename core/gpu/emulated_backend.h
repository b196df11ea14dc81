// The emulated device's stream: what is asked of it happens at once, or is kept while a graph is being recorded.
#pragma once
#include <functional>

namespace octet::gpu::emulator {

void perform(std::function<void()> work);

}  // namespace octet::gpu::emulator
