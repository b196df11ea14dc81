#include "core/cpu_features.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/bf16.h"
#include "core/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace octet {
namespace {

struct Features {
  bool sse42 = false, avx = false, avx2 = false, fma = false, f16c = false;
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false, avx512vnni = false, avx512bf16 = false;
  bool avx_vnni = false;
  std::string model = "unknown processor";
};

#if defined(__x86_64__)
struct Registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

/// Which register files the operating system saves: bits 1 and 2 for AVX, 5 to 7 for AVX-512.
std::uint64_t xcr0() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

std::string model_name() {
  if (cpuid(0x80000000).a < 0x80000004) return "x86-64 processor";
  char text[49] = {};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002 + i);
    std::memcpy(text + 16 * i, &r, 16);
  }
  std::string name = text;
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return name.empty() ? "x86-64 processor" : name;
}

Features detect() {
  const auto bit = [](std::uint32_t word, int i) { return ((word >> i) & 1) != 0; };
  Features f;
  f.model = model_name();
  const Registers one = cpuid(1), seven = cpuid(7), seven_one = cpuid(7, 1);
  const std::uint64_t saved = bit(one.c, 27) ? xcr0() : 0;  // bit 27: OSXSAVE, xgetbv may be used
  const bool ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xE6) == 0xE6;
  f.sse42 = bit(one.c, 20);
  f.avx = ymm && bit(one.c, 28);
  f.fma = ymm && bit(one.c, 12);
  f.f16c = ymm && bit(one.c, 29);
  f.avx2 = ymm && bit(seven.b, 5);
  f.avx512f = zmm && bit(seven.b, 16);
  f.avx512dq = zmm && bit(seven.b, 17);
  f.avx512bw = zmm && bit(seven.b, 30);
  f.avx512vl = zmm && bit(seven.b, 31);
  f.avx512vnni = zmm && bit(seven.c, 11);
  f.avx512bf16 = zmm && bit(seven_one.a, 5);
  f.avx_vnni = ymm && bit(seven_one.a, 4);
  return f;
}
#else
Features detect() { return {}; }
#endif

const Features& features() {
  static const Features f = detect();
  return f;
}

std::string steps_detected() {
  std::string text;
  for (const Isa isa : kIsas)
    if (detected(isa)) text += (text.empty() ? "" : ", ") + std::string(name_of(isa));
  return text;
}

Isa isa_of_environment() {
  const char* text = std::getenv("OCTET_ISA");
  if (text == nullptr || *text == '\0') return detected_isa();
  for (const Isa isa : kIsas) {
    if (std::strcmp(text, name_of(isa)) != 0) continue;
    if (!detected(isa)) {
      fail("cpu", fmt::format("OCTET_ISA={} is beyond this processor, which has {}", text, steps_detected()),
           "unset OCTET_ISA, or set it to one of these");
    }
    return isa;
  }
  fail("cpu", fmt::format("OCTET_ISA={} is not known", text), "use reference, avx2, avxvnni, avx512 or avx512vnni");
}

std::atomic<Isa>& cap() {
  static std::atomic<Isa> isa = isa_of_environment();
  return isa;
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::reference:
      return "reference";
    case Isa::avx2:
      return "avx2";
    case Isa::avxvnni:
      return "avxvnni";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512vnni:
      return "avx512vnni";
  }
  fail("cpu", fmt::format("no instruction set has number {}", static_cast<int>(isa)));
}

Isa detected_isa() {
  const Features& f = features();
  if (!f.avx2 || !f.fma) return Isa::reference;
  if (!f.avx512f || !f.avx512bw || !f.avx512dq || !f.avx512vl) return f.avx_vnni ? Isa::avxvnni : Isa::avx2;
  return f.avx512vnni ? Isa::avx512vnni : Isa::avx512;
}

bool detected(Isa step) { return step <= detected_isa() && (step != Isa::avxvnni || features().avx_vnni); }

Isa usable_isa() { return cap().load(std::memory_order_relaxed); }
bool usable(Isa step) { return step <= usable_isa() && detected(step); }

void cap_isa(Isa isa) {
  OCTET_CHECK(detected(isa), "cpu", "{} is beyond this processor, which has {}", name_of(isa), steps_detected());
  cap().store(isa, std::memory_order_relaxed);
}

bool can_dot_bf16() { return features().avx512bf16 && usable_isa() >= Isa::avx512vnni; }

std::string cpu_description() {
  const Features& f = features();
  std::string text = f.model;
  const auto add = [&](bool has, const char* name) {
    if (has) text += std::string(" ") + name;
  };
  text += ":";
  add(f.sse42, "sse4.2");
  add(f.avx, "avx");
  add(f.avx2, "avx2");
  add(f.fma, "fma");
  add(f.f16c, "f16c");
  add(f.avx_vnni, "avx_vnni");
  add(f.avx512f, "avx512f");
  add(f.avx512bw, "avx512bw");
  add(f.avx512dq, "avx512dq");
  add(f.avx512vl, "avx512vl");
  add(f.avx512vnni, "avx512vnni");
  add(f.avx512bf16, "avx512bf16");
  return text.back() == ':' ? text + " no vector features known" : text;
}

}  // namespace octet
