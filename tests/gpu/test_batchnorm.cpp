#include "kernels/batchnorm/batchnorm.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuBatchNorm : public test::OnDevice {};

/// Tails of lanes and of vectors, several strips, several chunks (rows of a block are 256 pixels of one channel, 8 of
/// 128).
template <class F>
void for_shapes(F f) {
  for (std::int64_t c : {1, 3, 4, 20, 33, 132, 200})
    for (std::int64_t pixels : {1, 2, 9, 70}) f(BatchNormProblem{pixels, c});
  for (std::int64_t pixels : {300, 5001}) f(BatchNormProblem{pixels, 3}), f(BatchNormProblem{pixels, 16});
}

struct Arrays {
  std::vector<float> src, scale, shift, d_dst;
  explicit Arrays(const BatchNormProblem& p, bool hostile)
      : src(hostile ? hostile::mixed_values(p.pixels * p.c, 1, 50) : hostile::random_values(p.pixels * p.c, 1, -3, 8)),
        scale(hostile::random_values(p.c, 2, -2, 2)),
        shift(hostile::random_values(p.c, 3, -1, 3)),
        d_dst(hostile ? hostile::mixed_values(p.pixels * p.c, 4, 50) : hostile::random_values(p.pixels * p.c, 4)) {
    scale[0] = 0;
  }
};

/// Sums in double, rounded once: one f32 rounding apart, plus what cancellation leaves of pixels · 2⁻⁵³ of the terms.
constexpr double kTolerance = 1.3e-7;

/// Infinities must be equal, the rest near.
void expect_close(std::vector<float> wanted, std::vector<float> got, const std::string& what) {
  for (std::size_t i = 0; i < wanted.size() && i < got.size(); ++i)
    if (wanted[i] == got[i]) wanted[i] = got[i] = 0;
  test::expect_near(wanted, got, kTolerance, what);
}

void expect_statistics(const BatchNormProblem& p, const std::vector<float>& src, const std::string& what) {
  const auto c = static_cast<std::size_t>(p.c);
  std::vector<float> mean(c), variance(c);
  test::reference_row(batchnorm_rows(), "batchnorm_stats", "f32")
      .run(p, {.src = src.data(), .mean = mean.data(), .variance = variance.data()}, {});
  const auto* row = test::device_row(batchnorm_rows(), "batchnorm_stats", "f32", p);
  ASSERT_NE(row, nullptr);
  Buffer<float> dsrc(src), dmean(c), dvariance(c);
  row->run(p, {.src = dsrc, .mean = dmean, .variance = dvariance}, context_of(Device::cuda));
  expect_close(mean, dmean.values(), "mean, " + what);
  expect_close(variance, dvariance.values(), "variance, " + what);
}

TEST_F(GpuBatchNorm, Statistics) {
  for_shapes([](const BatchNormProblem& p) { expect_statistics(p, Arrays(p, false).src, p.str()); });
}

TEST_F(GpuBatchNorm, StatisticsOfConstantsAndOfWhatIsNotFinite) {
  const BatchNormProblem p{300, 8};
  std::vector<float> src(2400, 1234.567f);
  for (std::size_t i = 0; i < src.size(); i += 8) src[i + 2] = static_cast<float>(i);
  src[8 * 299 + 3] = INFINITY;
  src[4] = NAN;
  expect_statistics(p, src, p.str());
}

TEST_F(GpuBatchNorm, ForwardHasTheReferencesBits) {
  for_shapes([](BatchNormProblem p) {
    for (Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
      p.act = act;
      const Arrays in(p, true);
      std::vector<float> wanted(in.src.size());
      test::reference_row(batchnorm_rows(), "affine_act_fwd", "f32")
          .run(p, {.src = in.src.data(), .scale = in.scale.data(), .shift = in.shift.data(), .dst = wanted.data()}, {});
      const auto* row = test::device_row(batchnorm_rows(), "affine_act_fwd", "f32", p);
      ASSERT_NE(row, nullptr);
      Buffer<float> src(in.src), scale(in.scale), shift(in.shift), dst(wanted.size());
      row->run(p, {.src = src, .scale = scale, .shift = shift, .dst = dst}, context_of(Device::cuda));
      test::expect_same(wanted, dst.values(), p.str());
      row->run(p, {.src = src, .scale = scale, .shift = shift, .dst = src}, context_of(Device::cuda));
      test::expect_same(wanted, src.values(), p.str() + " in place");
    }
  });
}

/// d_src bit for bit, the sums to kTolerance. `shifted`: pointers that are not those of whole vectors.
void expect_backward(const BatchNormProblem& p, bool hostile, bool in_place, std::size_t shifted) {
  const std::string what = p.str() + (in_place ? " in place" : "") + (shifted > 0 ? " shifted" : "");
  const Arrays in(p, hostile);
  const auto c = static_cast<std::size_t>(p.c);
  std::vector<float> d_src(in.src.size()), d_scale(c), d_shift(c);
  BatchNormPointers x{
      .src = in.src.data(), .scale = in.scale.data(), .shift = in.shift.data(), .d_dst = in.d_dst.data()};
  x.d_src = d_src.data(), x.d_scale = d_scale.data(), x.d_shift = d_shift.data();
  test::reference_row(batchnorm_rows(), "affine_act_bwd", "f32").run(p, x, {});
  const auto* row = test::device_row(batchnorm_rows(), "affine_act_bwd", "f32", p);
  ASSERT_NE(row, nullptr);
  std::vector<float> front(shifted, 9.0f);
  front.insert(front.end(), in.src.begin(), in.src.end());
  Buffer<float> src(front), scale(in.scale), shift(in.shift), d_dst(in.d_dst), apart(d_src.size()), got_scale(c),
      got_shift(c);
  Buffer<float>& got = in_place ? d_dst : apart;
  row->run(p,
           {.src = src.data() + shifted,
            .scale = scale,
            .shift = shift,
            .d_dst = d_dst,
            .d_src = got,
            .d_scale = got_scale,
            .d_shift = got_shift},
           context_of(Device::cuda));
  test::expect_same(d_src, got.values(), "d_src, " + what);
  expect_close(d_scale, got_scale.values(), "d_scale, " + what);
  expect_close(d_shift, got_shift.values(), "d_shift, " + what);
}

TEST_F(GpuBatchNorm, Backward) {
  for_shapes([](BatchNormProblem p) {
    for (Activation act : {Activation::none, Activation::relu, Activation::relu6}) {
      p.act = act;
      expect_backward(p, false, p.pixels % 2 == 0, 0);
    }
  });
}

TEST_F(GpuBatchNorm, BackwardDropsWhatActivationsDrop) {
  // NaN and infinity in d_dst behind a zero derivative are zeros, elsewhere they reach their channel's sums.
  for (Activation act : {Activation::relu, Activation::relu6}) expect_backward({70, 20, act}, true, false, 0);
  expect_backward({21, 8, Activation::relu}, false, false, 1);
}

}  // namespace
}  // namespace octet::kernels
