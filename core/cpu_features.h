// What this processor can do, and what the user lets us use of it.
#pragma once
#include <string>

namespace octet {

/// Steps of a ladder: each includes those before it. avx512 means F+BW+DQ+VL.
enum class Isa { reference, avx2, avx512, avx512vnni };
const char* name_of(Isa);

/// The best step of the processor and operating system (CPUID and XGETBV).
Isa detected_isa();
/// detected_isa() capped by OCTET_ISA (reference, avx2, avx512, avx512vnni); read once. An unknown value, or one
/// beyond the processor, throws Error.
Isa usable_isa();
/// For tests: cap within this process, as OCTET_ISA would.
void cap_isa(Isa cap);
/// Model name and feature flags, for `info`.
std::string cpu_description();

}  // namespace octet
