#include "core/cpu_features.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "core/log.h"
#include "tests/support/expect_error.h"

namespace octet {
namespace {

TEST(CpuFeatures, caps_go_down_and_come_back) {
  const Isa before = usable_isa();
  EXPECT_LE(before, detected_isa());
  cap_isa(Isa::reference);
  EXPECT_EQ(usable_isa(), Isa::reference);
  cap_isa(detected_isa());
  EXPECT_EQ(usable_isa(), detected_isa());
  if (detected_isa() < Isa::avx512vnni) {
    EXPECT_ERROR(cap_isa(Isa::avx512vnni), "beyond this processor");
  }
  cap_isa(before);
}

TEST(CpuFeatures, the_compiler_sees_the_same_processor) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const bool avxvnni = avx2 && cpu_description().find(" avx_vnni") != std::string::npos;  // the compiler cannot tell
  const Isa below_avx512 = avxvnni ? Isa::avxvnni : avx2 ? Isa::avx2 : Isa::reference;
  EXPECT_EQ(detected_isa(), vnni ? Isa::avx512vnni : avx512 ? Isa::avx512 : below_avx512);
  EXPECT_EQ(detected(Isa::avxvnni), avxvnni);
#else
  EXPECT_EQ(detected_isa(), Isa::reference);
#endif
}

// avxvnni is no part of AVX-512: under the cap of a step above it, its code runs where the processor has it.
TEST(CpuFeatures, steps_under_a_cap) {
  const Isa before = usable_isa();
  for (const Isa cap : kIsas) {
    if (!detected(cap)) {
      EXPECT_ERROR(cap_isa(cap), "beyond this processor, which has reference");
      continue;
    }
    cap_isa(cap);
    for (const Isa step : kIsas)
      EXPECT_EQ(usable(step), step <= cap && detected(step)) << name_of(cap) << ' ' << name_of(step);
  }
  cap_isa(before);
  EXPECT_TRUE(detected(detected_isa()) && detected(Isa::reference));
}

TEST(CpuFeatures, describes_itself) {
  EXPECT_NE(cpu_description().find(':'), std::string::npos);
  EXPECT_EQ(cpu_description().find("avx512vnni") != std::string::npos, detected_isa() == Isa::avx512vnni);
  EXPECT_STREQ(name_of(Isa::avx512), "avx512");
}

// The environment is read once per process, so each value is tried in a process of its own.
int usable_under(const char* value) {
  ::setenv("OCTET_ISA", value, 1);
  try {
    return static_cast<int>(usable_isa());
  } catch (const Error& error) {
    return std::strstr(error.what(), value) != nullptr ? 50 : 51;
  }
}

TEST(CpuFeaturesDeathTest, environment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(usable_under("reference")), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(std::exit(usable_under("sse9")), testing::ExitedWithCode(50), "");
  EXPECT_EXIT(std::exit(usable_under("avx")), testing::ExitedWithCode(50), "");
  EXPECT_EXIT(std::exit(usable_under("")), testing::ExitedWithCode(static_cast<int>(detected_isa())), "");
}

TEST(LogDeathTest, goes_to_stderr_line_by_line) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ::setenv("OCTET_VERBOSE", "dispatch, graph", 1);
        log_info("some news {}");
        log_warning("look out");
        log(LogLevel::debug, "unheard");
        set_log_level(LogLevel::error);
        log_info("hushed");
        std::exit(verbose("dispatch") && verbose("graph") && !verbose("disp") ? 0 : 1);
      },
      testing::ExitedWithCode(0), "^some news \\{\\}\nwarning: look out\n$");
}

}  // namespace
}  // namespace octet
