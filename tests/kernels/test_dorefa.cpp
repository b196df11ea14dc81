// DoReFa's tanh: beside the C library's, at the ends of its branches, in place, at the last byte of memory.
#include <gtest/gtest.h>

#include "kernels/dorefa/dorefa.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using hostile::PageEnd;

const DorefaRow& row_of(const char* pass, const char* dtypes) {
  return hostile::reference_row(dorefa_rows(), pass, dtypes);
}

/// Both passes against the formula in long double, relative errors below `bound`.
template <class T>
void expect_near_formula(const char* dtypes, const std::vector<T>& x, T top, double bound) {
  const DorefaProblem p{static_cast<std::int64_t>(x.size())};
  PageEnd<T> src(x), dst(p.count), gradient(std::vector<T>(x.size(), T(-1.5)));
  DorefaPointers io;
  io.src = src.data(), io.top = &top, io.dst = dst.data();
  row_of("dorefa_fwd", dtypes).run(p, io, {});
  io.d_dst = io.d_src = gradient.data();
  row_of("dorefa_bwd", dtypes).run(p, io, {});
  const long double t = top == 0 ? 1 : static_cast<long double>(top) / std::tanh(static_cast<long double>(top));
  for (std::int64_t i = 0; i < p.count; ++i) {
    const long double value = std::tanh(static_cast<long double>(src[i])), wanted = t * value,
                      slope = -1.5L * t * (1 - value * value);
    EXPECT_NEAR(static_cast<double>(dst[i]), static_cast<double>(wanted),
                bound * std::fabs(static_cast<double>(wanted)))
        << src[i];
    EXPECT_NEAR(static_cast<double>(gradient[i]), static_cast<double>(slope), 8 * bound * static_cast<double>(t))
        << src[i];
  }
  EXPECT_TRUE(dst.intact() && gradient.intact());
}

template <class T>
std::vector<T> weights(std::int64_t count, T top) {
  std::vector<T> x = hostile::random_values<T>(count, static_cast<std::uint64_t>(count), -top, top);
  const T ends[] = {top, -top, 0, T(0.25), T(0.2499999), T(0.03125), T(0.0312499), T(1e-30), T(-1e-8)};
  for (std::size_t i = 0; i < std::size(ends) && i < x.size(); ++i) x[i] = ends[i];
  return x;
}

TEST(Dorefa, IsTheFormula) {
  for (const std::int64_t count : {1, 7, 8, 4096, 9001})
    for (const double top : {0.0, 1e-20, 0.1, 1.0, 3.5, 30.0}) {
      expect_near_formula("f32", weights(count, static_cast<float>(top)), static_cast<float>(top), 1e-6);
      expect_near_formula("f64", weights(count, top), top, 4e-15);
    }
}

TEST(Dorefa, EndsWhereTheWeightsDid) {
  for (const float top : {0.003f, 0.7f, 5.0f, 1e30f}) {
    const std::vector<float> x{top, -top, INFINITY};
    std::vector<float> y(3);
    DorefaPointers io;
    io.src = x.data(), io.top = &top, io.dst = y.data();
    row_of("dorefa_fwd", "f32").run({3}, io, {});
    EXPECT_FLOAT_EQ(y[0], top);
    EXPECT_FLOAT_EQ(y[1], -top);
  }
}

TEST(Dorefa, NaNIsPassedOn) {
  const std::vector<float> x{1, std::nanf("")};
  std::vector<float> y(2), g{1, 1};
  const float top = 1;
  DorefaPointers io;
  io.src = x.data(), io.top = &top, io.dst = y.data(), io.d_dst = g.data(), io.d_src = g.data();
  row_of("dorefa_fwd", "f32").run({2}, io, {});
  row_of("dorefa_bwd", "f32").run({2}, io, {});
  EXPECT_TRUE(std::isfinite(y[0]) && std::isnan(y[1]) && std::isfinite(g[0]) && std::isnan(g[1]));
}

}  // namespace
}  // namespace octet::kernels
