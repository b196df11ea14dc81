// What /proc, /sys and the loaded libraries tell about the machine; empty where they tell nothing.
#pragma once
#include <string>

namespace octet::bench {

/// "32K data, 32K instruction, 1024K L2, 32768K L3 (shared by 0-1)"
std::string caches_text();
/// "2596 MHz now, governor performance, boost on"
std::string clock_text();
/// "0.3.21, kernels for SkylakeX" and "2.6.0", of the libraries that this process has loaded.
std::string openblas_text();
std::string onednn_text();

}  // namespace octet::bench
