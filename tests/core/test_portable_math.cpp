#include "core/portable_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/random.h"

namespace octet {
namespace {

const double kInf = std::numeric_limits<double>::infinity();

/// Distance in units of the last place of the expected value, which is known to more digits than double holds.
double ulps(double got, long double expected) {
  const double rounded = static_cast<double>(expected);
  const double step = std::nextafter(std::abs(rounded), kInf) - std::abs(rounded);
  return static_cast<double>(std::abs(static_cast<long double>(got) - expected)) / step;
}

TEST(PortableMath, exp_to_two_ulp) {
  Random random(1, Purpose::test);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double x = i % 2 ? random.uniform(-708, 709.7) : random.uniform(-1, 1);
    worst = std::max(worst, ulps(portable::exp(x), std::exp(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 2);
  EXPECT_EQ(portable::exp(0), 1);
  EXPECT_EQ(portable::exp(-0.0), 1);
  EXPECT_EQ(portable::exp(710), kInf);
  EXPECT_EQ(portable::exp(kInf), kInf);
  EXPECT_EQ(portable::exp(-746), 0);
  EXPECT_EQ(portable::exp(-kInf), 0);
  EXPECT_TRUE(std::isnan(portable::exp(std::nan(""))));
  EXPECT_NEAR(portable::exp(-740), std::exp(-740.0), 5e-324);
  EXPECT_NEAR(portable::exp(-745.1), 5e-324, 5e-324);
  EXPECT_LT(ulps(portable::exp(709.78), std::exp(static_cast<long double>(709.78))), 2);
}

TEST(PortableMath, log_to_two_ulp) {
  Random random(2, Purpose::test);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double x = i % 2 ? std::exp(random.uniform(-740, 709)) : random.uniform(0.5, 2);
    if (x == 0) continue;
    worst = std::max(worst, ulps(portable::log(x), std::log(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 2);
  EXPECT_EQ(portable::log(1), 0);
  EXPECT_LT(ulps(portable::log(5e-324), std::log(static_cast<long double>(5e-324))), 2);
  EXPECT_LT(ulps(portable::log(std::nextafter(1.0, 2.0)), std::log1p(0x1p-52L)), 2);
  EXPECT_LT(ulps(portable::log(std::nextafter(1.0, 0.0)), std::log1p(-0x1p-53L)), 2);
  EXPECT_LT(ulps(portable::log(std::numeric_limits<double>::max()),
                 std::log(static_cast<long double>(std::numeric_limits<double>::max()))),
            2);
  EXPECT_EQ(portable::log(0), -kInf);
  EXPECT_EQ(portable::log(kInf), kInf);
  EXPECT_TRUE(std::isnan(portable::log(-1)));
  EXPECT_TRUE(std::isnan(portable::log(std::nan(""))));
}

TEST(PortableMath, sin_and_cos_to_two_ulp) {
  Random random(3, Purpose::test);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double x = i % 2 ? random.uniform(-1e6, 1e6) : random.uniform(-7, 7);
    worst = std::max(worst, ulps(portable::sin(x), std::sin(static_cast<long double>(x))));
    worst = std::max(worst, ulps(portable::cos(x), std::cos(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 2);
  EXPECT_EQ(portable::sin(0), 0);
  EXPECT_EQ(portable::cos(0), 1);
}

TEST(PortableMath, box_muller_gives_the_bits_of_log_sin_and_cos) {
  Random random(5, Purpose::test);
  constexpr std::int64_t kCount = 20'001;  // odd: the last one is alone
  std::vector<double> u(kCount), v(kCount), x(kCount), y(kCount);
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = 1 - random.uniform(), v[i] = random.uniform();
  u[0] = 1, v[0] = 0, u[1] = 0x1p-53, v[1] = 1 - 0x1p-53, v[2] = 0.25, v[3] = 0.5, v[4] = 0.75, v[5] = 0.125;
  portable::box_muller(kCount, u.data(), v.data(), x.data(), y.data());
  for (std::size_t i = 0; i < u.size(); ++i) {
    const double radius = std::sqrt(-2 * portable::log(u[i])), angle = 0x1.921fb54442d18p+2 * v[i];
    ASSERT_EQ(std::bit_cast<std::uint64_t>(x[i]), std::bit_cast<std::uint64_t>(radius * portable::cos(angle)))
        << u[i] << " " << v[i];
    ASSERT_EQ(std::bit_cast<std::uint64_t>(y[i]), std::bit_cast<std::uint64_t>(radius * portable::sin(angle)))
        << u[i] << " " << v[i];
  }
}

TEST(PortableMath, sin_near_its_zeros) {
  // The doubles nearest to multiples of pi/2 leave a remainder far below their own step.
  for (int k = 1; k < 600'000; k += 997) {
    const double x = k * 0x1.921fb54442d18p+0;
    EXPECT_LT(ulps(portable::sin(x), std::sin(static_cast<long double>(x))), 2) << k;
    EXPECT_LT(ulps(portable::cos(x), std::cos(static_cast<long double>(x))), 2) << k;
  }
}

}  // namespace
}  // namespace octet
