// The selection mechanism: caps, forced rows, vendor rows, and what it tells.
#include "kernels/select.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "kernels/problem.h"
#include "tests/support/expect_error.h"

namespace octet::kernels {
namespace {

struct Problem {
  bool odd = false;
  std::string str() const { return odd ? "odd" : "even"; }
};
struct Pointers {
  const char** ran;
};
using TestRow = Row<Problem, Pointers>;

const char* take_all(const Problem&) { return nullptr; }
const char* even_only(const Problem& p) { return p.odd ? "takes even problems only" : nullptr; }
template <int Which>
void run(const Problem&, const Pointers& p, const Context&) {
  constexpr const char* kNames[] = {"avx512", "avx2", "onednn", "reference", "f64"};
  *p.ran = kNames[Which];
}

const TestRow kRows[] = {{"op_fwd", "f32", "cpu", "avx512", even_only, run<0>},
                         {"op_fwd", "f32", "cpu", "avx2", take_all, run<1>},
                         {"op_fwd", "f32", "cpu", "onednn", even_only, run<2>},
                         {"op_fwd", "f32", "cpu", "reference", take_all, run<3>},
                         {"op_fwd", "f64", "cpu", "reference", take_all, run<4>}};

std::string ran(const char* dtypes, const Problem& problem) {
  const char* name = nullptr;
  dispatch(std::span<const TestRow>(kRows), "op_fwd", dtypes, problem, Pointers{&name});
  return name;
}

/// Puts the process back as it was.
class Select : public testing::Test {
 protected:
  ~Select() override {
    cap_isa(before_);
    force_kernels("");
    set_deterministic(false);
  }
  /// Caps, or skips the rest of the test where the processor cannot.
  static bool cap(Isa isa) {
    if (!detected(isa)) return false;
    cap_isa(isa);
    return true;
  }
  Isa before_ = usable_isa();
};

TEST_F(Select, BestRowUnderTheCap) {
  ASSERT_TRUE(cap(Isa::reference));
  EXPECT_EQ(ran("f32", {}), "reference") << "a vendor's row must not stand in";
  EXPECT_EQ(ran("f64", {}), "f64");
  if (!cap(Isa::avx2)) GTEST_SKIP() << "no AVX2 here";
  EXPECT_EQ(ran("f32", {}), "avx2");
  if (!cap(Isa::avx512)) GTEST_SKIP() << "no AVX-512 here";
  EXPECT_EQ(ran("f32", {}), "avx512");
  EXPECT_EQ(ran("f32", {true}), "avx2") << "the first row refuses odd problems";
}

TEST_F(Select, ForcedRows) {
  force_kernels("op_fwd:onednn");
  EXPECT_EQ(ran("f32", {}), "onednn");
  EXPECT_ERROR(ran("f32", {true}), "OCTET_KERNEL forces onednn");
  EXPECT_ERROR(ran("f64", {}), "[op_fwd] no row takes f64 [even]");
  force_kernels("other:avx2,op_fwd:onednn,op_fwd:reference");
  EXPECT_EQ(ran("f32", {}), "reference") << "the last entry wins";
  force_kernels("other:onednn");
  cap_isa(Isa::reference);
  EXPECT_EQ(ran("f32", {}), "reference");
  force_kernels("op_fwd:avx2");
  EXPECT_ERROR(ran("f32", {}), "no row takes f32");  // a cap holds for forced rows too
}

TEST_F(Select, DeterministicExcludesVendors) {
  EXPECT_FALSE(deterministic());
  set_deterministic(true);
  EXPECT_TRUE(deterministic());
  force_kernels("op_fwd:onednn");
  EXPECT_ERROR(ran("f32", {}), "no row takes f32");
}

TEST_F(Select, MalformedSpecs) {
  for (const char* spec : {"conv2d_fwd", "conv2d_fwd:", ":avx2", "a:avx2,,b:avx2", ","})
    EXPECT_ERROR(force_kernels(spec), "is not <pass>:<impl>");
  EXPECT_ERROR(force_kernels("conv2d_fwd:avx1024"),
               "names no implementation ---> HINT implementations are reference, avx2");
}

TEST_F(Select, UnknownPassAndDtype) {
  const char* name = nullptr;
  EXPECT_ERROR(dispatch(std::span<const TestRow>(kRows), "op_bwd", "f32", Problem{}, Pointers{&name}),
               "[op_bwd] no row takes f32 [even]");
  EXPECT_ERROR(ran("u8s8", {}), "[op_fwd] no row takes u8s8");
}

TEST_F(Select, LadderOfNames) {
  EXPECT_EQ(required_isa("avx2"), Isa::avx2);
  EXPECT_EQ(required_isa("avxvnni"), Isa::avxvnni);
  EXPECT_EQ(required_isa("avx512"), Isa::avx512);
  EXPECT_EQ(required_isa("avx512vnni"), Isa::avx512vnni);
  for (const char* impl : {"reference", "onednn", "openblas"}) EXPECT_EQ(required_isa(impl), Isa::reference);
  EXPECT_TRUE(is_vendor("onednn") && is_vendor("openblas") && is_vendor("cudnn"));
  EXPECT_FALSE(is_vendor("avx2") || is_vendor("reference") || is_vendor("cuda"));
}

TEST(SelectDeathTest, TellsChoicesAndRefusals) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process reads the environment anew
  EXPECT_EXIT(
      {
        setenv("OCTET_VERBOSE", "dispatch", 1);
        cap_isa(Isa::reference);
        ran("f32", {});
        ran("f32", {});  // not told twice
        std::exit(0);
      },
      testing::ExitedWithCode(0),
      "^dispatch: op_fwd f32 \\[even\\] not avx512: the processor, or OCTET_ISA, does not allow its instructions\n"
      "dispatch: op_fwd f32 \\[even\\] not avx2: .*\n"
      "dispatch: op_fwd f32 \\[even\\] not onednn: vendor rows run only when forced\n"
      "dispatch: op_fwd f32 \\[even\\] runs reference\n$");
}

TEST(SelectDeathTest, EnvironmentForces) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("OCTET_KERNEL", "op_fwd:onednn", 1);
        std::fputs(ran("f32", {}).c_str(), stderr);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^onednn$");
}

TEST(Problem, Texts) {
  EXPECT_EQ((ConvGeometry{8, 16, 17, 32, 64, 3, 1, 2, 1, 1, 0}).str(), "n8 16x17x32 k64 3x1 s2x1 p1x0");
  EXPECT_STREQ(name_of(Activation::relu6), "relu6");
}

TEST(Problem, ReductionChunksFollowFromThePixels) {
  EXPECT_EQ(reduction_chunk(1), 1024);
  EXPECT_EQ(reduction_chunk(16384), 1024);
  EXPECT_EQ(reduction_chunk(16385), 1280);
  EXPECT_EQ(reduction_chunk(65536), 4096);
}

}  // namespace
}  // namespace octet::kernels
