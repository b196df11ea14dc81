#include "kernels/grid_distance/grid_distance.h"

#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuGridDistance : public test::OnDevice {};

TEST_F(GpuGridDistance, GradientsHaveTheReferencesBitsAndSumsAreNear) {
  for (const auto& [channels, inner] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {9, 9}, {40, 64}, {3, 5000}, {1, 20001}})
    for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
      const GridDistanceProblem p{channels, inner, -7, 7, rule};
      std::vector<float> src = hostile::random_values<float>(channels * inner, 1, -4, 4),
                         scale = hostile::random_values<float>(channels, 2, 0.1, 0.5);
      if (rule == QuantRule::paddle)
        for (float& s : scale) s *= 7;
      const std::vector<float> d_sum{0.3f};
      std::vector<float> sum(1), d_src(src.size());
      Buffer<float> scale_there(scale), d_sum_there(d_sum), got_sum(std::size_t{1}), got(src.size());
      {
        Buffer<float> src_there(src);
        test::reference_row(grid_distance_rows(), "grid_distance_fwd", "f32")
            .run(p, {.src = src.data(), .scale = scale.data(), .sum = sum.data()}, {});
        test::device_row(grid_distance_rows(), "grid_distance_fwd", "f32", p)
            ->run(p, {.src = src_there, .scale = scale_there, .sum = got_sum}, context_of(Device::cuda));
        test::expect_near(sum, got_sum.values(), 1e-6, "sum, " + p.str());
      }
      if (src.size() > 40) src[3] = NAN, src[4] = INFINITY, src[5] = -INFINITY;
      Buffer<float> src_there(src);
      test::reference_row(grid_distance_rows(), "grid_distance_bwd", "f32")
          .run(p, {.src = src.data(), .scale = scale.data(), .d_sum = d_sum.data(), .d_src = d_src.data()}, {});
      test::device_row(grid_distance_rows(), "grid_distance_bwd", "f32", p)
          ->run(p, {.src = src_there, .scale = scale_there, .d_sum = d_sum_there, .d_src = got},
                context_of(Device::cuda));
      test::expect_same(d_src, got.values(), "d_src, " + p.str());
    }
}

}  // namespace
}  // namespace octet::kernels
