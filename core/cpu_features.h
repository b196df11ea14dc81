// What this processor can do, and what the user lets us use of it.
#pragma once
#include <string>

namespace octet {

/// Steps of a ladder: each includes those before it, but for avxvnni, which processors with AVX-512 may lack. avxvnni is
/// AVX2 and vpdpbusd on 256 bits (AVX-VNNI); avx512 means F+BW+DQ+VL.
enum class Isa { reference, avx2, avxvnni, avx512, avx512vnni };
inline constexpr Isa kIsas[] = {Isa::reference, Isa::avx2, Isa::avxvnni, Isa::avx512, Isa::avx512vnni};
const char* name_of(Isa);

/// The best step of the processor and operating system (CPUID and XGETBV).
Isa detected_isa();
/// Has the processor this step? Every one up to detected_isa(), but for avxvnni.
bool detected(Isa step);
/// detected_isa() capped by OCTET_ISA (reference, avx2, avxvnni, avx512, avx512vnni); read once. An unknown value, or one
/// that the processor lacks, throws Error.
Isa usable_isa();
/// May code of this step run: the processor has it, and the cap is not below it.
bool usable(Isa step);
/// For tests: cap within this process, as OCTET_ISA would.
void cap_isa(Isa cap);
/// Model name and feature flags, for `info`.
std::string cpu_description();

}  // namespace octet
