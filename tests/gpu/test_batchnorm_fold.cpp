// Batch norm's numbers per channel, and its scale folded into weights, on the device.
#include "kernels/batchnorm_affine/batchnorm_affine.h"
#include "kernels/batchnorm_fold/batchnorm_fold.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using test::expect_same;

class GpuBatchNormFold : public test::OnDevice {};

/// Of c channels: ordinary ones, dead ones, and ones that are not finite.
struct Channels {
  std::vector<float> mean, variance, gamma, beta, running_mean, running_var, d_affine;
  explicit Channels(std::int64_t c)
      : mean(hostile::random_values<float>(c, 1)),
        variance(hostile::random_values<float>(c, 2, 0, 3)),
        gamma(hostile::random_values<float>(c, 3)),
        beta(hostile::random_values<float>(c, 4)),
        running_mean(hostile::random_values<float>(c, 5)),
        running_var(hostile::random_values<float>(c, 6, 0, 2)),
        d_affine(hostile::random_values<float>(2 * c, 7)) {
    if (c < 8) return;
    gamma[0] = 0, gamma[1] = 1e-30f, variance[2] = 0, mean[3] = variance[3] = 0;
    running_var[4] = 5.6e-45f, gamma[5] = INFINITY, variance[6] = NAN;
  }
};

TEST_F(GpuBatchNormFold, AffineMapsHaveTheReferencesBits) {
  for (const std::int64_t c : {1, 8, 33, 300})
    for (const BatchNormFold fold : {BatchNormFold::none, BatchNormFold::batch, BatchNormFold::running}) {
      BatchNormAffineProblem p{c, 70};
      p.fold = fold, p.unbiased = c == 33;
      const auto n = static_cast<std::size_t>(c);
      Channels in(c);
      Buffer<float> mean(in.mean), variance(in.variance), gamma(in.gamma), beta(in.beta), running_mean(in.running_mean),
          running_var(in.running_var), d_affine(in.d_affine), affine(2 * n), factor(n), d_gamma(n), d_beta(n), slope(n),
          offset(n);
      std::vector<float> wanted_affine(2 * n), wanted_factor(n), wanted_d_gamma(n), wanted_d_beta(n), wanted_slope(n),
          wanted_offset(n);
      const auto pointers = [&](auto&& there) {
        BatchNormAffinePointers x;
        x.mean = there(mean, in.mean), x.variance = there(variance, in.variance), x.gamma = there(gamma, in.gamma),
        x.beta = there(beta, in.beta);
        x.affine = there(affine, wanted_affine), x.d_affine = there(d_affine, in.d_affine);
        if (fold != BatchNormFold::running)
          x.running_mean = there(running_mean, in.running_mean), x.running_var = there(running_var, in.running_var);
        if (fold == BatchNormFold::batch) x.factor = there(factor, wanted_factor);
        x.d_gamma = there(d_gamma, wanted_d_gamma), x.d_beta = there(d_beta, wanted_d_beta);
        if (fold != BatchNormFold::running)
          x.slope = there(slope, wanted_slope), x.offset = there(offset, wanted_offset);
        return x;
      };
      const auto here = [](auto&, auto& host) { return host.data(); };
      const auto there = [](auto& device, auto&) { return device.data(); };
      for (const char* pass : {"batchnorm_affine_fwd", "batchnorm_affine_bwd"}) {
        test::reference_row(batchnorm_affine_rows(), pass, "f32").run(p, pointers(here), {});
        const auto* row = test::device_row(batchnorm_affine_rows(), pass, "f32", p);
        ASSERT_NE(row, nullptr);
        row->run(p, pointers(there), context_of(Device::cuda));
      }
      expect_same(wanted_affine, affine.values(), "affine, " + p.str());
      expect_same(in.running_mean, running_mean.values(), "running_mean, " + p.str());
      expect_same(in.running_var, running_var.values(), "running_var, " + p.str());
      expect_same(wanted_d_gamma, d_gamma.values(), "d_gamma, " + p.str());
      expect_same(wanted_d_beta, d_beta.values(), "d_beta, " + p.str());
      if (fold == BatchNormFold::batch) expect_same(wanted_factor, factor.values(), "factor, " + p.str());
      if (fold == BatchNormFold::running) continue;
      expect_same(wanted_slope, slope.values(), "slope, " + p.str());
      expect_same(wanted_offset, offset.values(), "offset, " + p.str());
    }
}

/// Channels shorter than a warp, of a warp, of a block, of several blocks; packs and what is no pack.
TEST_F(GpuBatchNormFold, WeightsAndTheirGradients) {
  for (const auto& [channels, inner] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {9, 9}, {40, 64}, {3, 1027}, {5, 1536}, {2, 9000}}) {
    const BatchNormFoldProblem p{channels, inner, 1e-5};
    const Channels in(channels);
    const std::vector<float> src = hostile::mixed_values(channels * inner, 8, 60),
                             d_dst = hostile::random_values<float>(channels * inner, 9);
    std::vector<float> wanted(src.size()), wanted_d(src.size()), wanted_gamma(static_cast<std::size_t>(channels));
    Buffer<float> src_there(src), d_there(d_dst), gamma(in.gamma), var(in.running_var), got(src.size()),
        got_d(src.size()), got_gamma(wanted_gamma.size());
    test::reference_row(batchnorm_fold_rows(), "batchnorm_fold_fwd", "f32")
        .run(p,
             {.src = src.data(), .gamma = in.gamma.data(), .running_var = in.running_var.data(), .dst = wanted.data()},
             {});
    test::device_row(batchnorm_fold_rows(), "batchnorm_fold_fwd", "f32", p)
        ->run(p, {.src = src_there, .gamma = gamma, .running_var = var, .dst = got}, context_of(Device::cuda));
    expect_same(wanted, got.values(), p.str());
    const std::vector<float> plain = hostile::random_values<float>(channels * inner, 10);
    Buffer<float> plain_there(plain);
    test::reference_row(batchnorm_fold_rows(), "batchnorm_fold_bwd", "f32")
        .run(p,
             {.src = plain.data(),
              .gamma = in.gamma.data(),
              .running_var = in.running_var.data(),
              .d_dst = d_dst.data(),
              .d_src = wanted_d.data(),
              .d_gamma = wanted_gamma.data()},
             {});
    test::device_row(batchnorm_fold_rows(), "batchnorm_fold_bwd", "f32", p)
        ->run(p,
              {.src = plain_there,
               .gamma = gamma,
               .running_var = var,
               .d_dst = d_there,
               .d_src = got_d,
               .d_gamma = got_gamma},
              context_of(Device::cuda));
    expect_same(wanted_d, got_d.values(), "d_src, " + p.str());
    test::expect_near(wanted_gamma, got_gamma.values(), 1e-6, "d_gamma, " + p.str());
  }
}

}  // namespace
}  // namespace octet::kernels
