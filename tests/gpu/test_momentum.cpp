#include "kernels/momentum/momentum.h"
#include "kernels/momentum_many/momentum_many.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuMomentum : public test::OnDevice {};

/// Three steps of both rows, the buffers `off` elements behind their begin on the device; equal bits.
void expect_equal(const MomentumProblem& p, std::size_t off) {
  const auto all = p.count + static_cast<std::int64_t>(off);
  const std::vector<float> gradient = hostile::mixed_values(all, 1, 31);
  std::vector<float> velocity = hostile::random_values<float>(all, 2), weight = hostile::random_values<float>(all, 3);
  const MomentumRow* row = test::device_row(momentum_rows(), "momentum", "f32", p);
  ASSERT_NE(row, nullptr);
  Buffer<float> dgradient(gradient), dvelocity(velocity), dweight(weight);
  for (int step = 0; step < 3; ++step) {
    test::reference_row(momentum_rows(), "momentum", "f32")
        .run(p, {gradient.data() + off, velocity.data() + off, weight.data() + off}, {});
    row->run(p, {dgradient.data() + off, dvelocity.data() + off, dweight.data() + off}, context_of(Device::cuda));
  }
  test::expect_same(velocity, dvelocity.values(), "velocity " + p.str());
  test::expect_same(weight, dweight.values(), "weight " + p.str());
}

TEST_F(GpuMomentum, StepsHaveTheReferencesBits) {
  for (const std::int64_t count : {1, 4, 31, 256, 1027, 4096})
    for (const bool nesterov : {false, true})
      for (const double decay : {0.0, 4e-5})
        for (const std::size_t off : {0u, 1u}) expect_equal({count, 0.045, 0.9, decay, nesterov}, off);
}

/// Parameters of all sizes, the second of each three not aligned, by one launch: the bits of a launch each.
TEST_F(GpuMomentum, ManyParametersHaveTheBitsOfOneByOne) {
  const std::int64_t counts[] = {1, 10, 4096, 3, 4097, 10000, 128, 77, 8192};
  for (const bool nesterov : {false, true}) {
    std::vector<std::vector<float>> gradients, velocities, weights;
    std::vector<Buffer<float>> dgradients, dvelocities, dweights;
    std::vector<MomentumPart> parts;
    for (std::size_t i = 0; i < std::size(counts); ++i) {
      const std::size_t off = i % 3 == 1;
      const std::int64_t all = counts[i] + static_cast<std::int64_t>(off);
      gradients.push_back(hostile::mixed_values(all, 1, 31)),
          velocities.push_back(hostile::random_values<float>(all, 2)),
          weights.push_back(hostile::random_values<float>(all, 3));
      dgradients.emplace_back(gradients[i]), dvelocities.emplace_back(velocities[i]), dweights.emplace_back(weights[i]);
      cut_into_parts({dgradients[i].data() + off, dvelocities[i].data() + off, dweights[i].data() + off, counts[i],
                      i % 2 ? 0.37 : 1.0, i % 4 ? 4e-5 : 0},
                     parts);
    }
    Buffer<MomentumPart> table(parts);
    for (const double lr : {0.045, 0.1 / 3}) {
      Buffer<double> dlr(std::vector<double>{lr});
      const MomentumManyProblem p{static_cast<std::int64_t>(parts.size()), 0.9, nesterov};
      const MomentumManyRow* row = test::device_row(momentum_many_rows(), "momentum_many", "f32", p);
      ASSERT_NE(row, nullptr);
      row->run(p, {table, dlr}, context_of(Device::cuda));
      for (std::size_t i = 0; i < std::size(counts); ++i) {
        const std::size_t off = i % 3 == 1;
        test::reference_row(momentum_rows(), "momentum", "f32")
            .run({counts[i], lr * (i % 2 ? 0.37 : 1.0), 0.9, i % 4 ? 4e-5 : 0, nesterov},
                 {gradients[i].data() + off, velocities[i].data() + off, weights[i].data() + off}, {});
      }
    }
    for (std::size_t i = 0; i < std::size(counts); ++i) {
      test::expect_same(velocities[i], dvelocities[i].values(), "velocity " + std::to_string(i));
      test::expect_same(weights[i], dweights[i].values(), "weight " + std::to_string(i));
    }
  }
}

/// Weights whose new values go to their grids in the same launch, beside others: the bits of an update and weight_quant_fwd each.
TEST_F(GpuMomentum, WeightsAreQuantizedBehindTheirUpdate) {
  struct Extent {
    std::int64_t rows, inner;
    std::int32_t hi;
    QuantRule rule;
  };
  const Extent extents[] = {{1, 1, 127, QuantRule::onnx},
                            {70, 9, 127, QuantRule::onnx},
                            {500, 9, 7, QuantRule::onnx},
                            {3, 5000, 127, QuantRule::onnx},
                            {33, 257, 127, QuantRule::paddle}};
  const double lr = 0.1;
  std::vector<MomentumPart> parts, wanted_parts;
  std::vector<Buffer<float>> memory;
  std::vector<std::vector<float>> host;
  for (const Extent& e : extents) {
    const std::int64_t count = e.rows * e.inner;
    std::vector<float> start[] = {hostile::random_values<float>(count, 1), hostile::random_values<float>(count, 2),
                                  hostile::random_values<float>(count, 3)};
    for (std::vector<float>& values : start) {
      if (e.rows > 2) std::fill_n(values.begin() + e.inner, e.inner, 0.0f);  // a dead row
      memory.emplace_back(values), host.push_back(values);
    }
    memory.emplace_back(start[0].size()), host.emplace_back(start[0].size());
    memory.emplace_back(static_cast<std::size_t>(e.rows)), host.emplace_back(static_cast<std::size_t>(e.rows));
  }
  for (std::size_t i = 0; i < std::size(extents); ++i) {
    const Extent& e = extents[i];
    const auto part = [&](auto&& of) {
      return MomentumPart{of(5 * i), of(5 * i + 1), of(5 * i + 2), e.rows * e.inner,
                          1,         1e-4,          of(5 * i + 3), of(5 * i + 4),
                          e.inner,   -e.hi,         e.hi,          e.rule};
    };
    cut_into_parts(part([&](std::size_t k) { return memory[k].data(); }), parts);
    cut_into_parts(part([&](std::size_t k) { return host[k].data(); }), wanted_parts);
  }
  ASSERT_EQ(parts.size(), wanted_parts.size());
  Buffer<MomentumPart> table(parts);
  Buffer<double> lr_there(std::vector<double>{lr});
  const MomentumManyProblem p{static_cast<std::int64_t>(parts.size()), 0.9, true};
  test::reference_row(momentum_many_rows(), "momentum_many", "f32").run(p, {wanted_parts.data(), &lr}, {});
  test::device_row(momentum_many_rows(), "momentum_many", "f32", p)
      ->run(p, {table, lr_there}, context_of(Device::cuda));
  const char* names[] = {"gradient", "velocity", "weight", "quantized", "scale"};
  for (std::size_t k = 0; k < host.size(); ++k)
    test::expect_same(host[k], memory[k].values(), std::string(names[k % 5]) + " of " + std::to_string(k / 5));
}

TEST_F(GpuMomentum, TheReferenceOfManyIsThatOfOne) {
  const std::vector<float> gradient = hostile::random_values<float>(5000, 1);
  std::vector<float> v = hostile::random_values<float>(5000, 2), w = hostile::random_values<float>(5000, 3), many_v = v,
                     many_w = w;
  std::vector<MomentumPart> parts;
  cut_into_parts({gradient.data(), many_v.data(), many_w.data(), 5000, 0.5, 1e-4}, parts);
  EXPECT_EQ(parts.size(), 2u);
  const double lr = 0.1;
  test::reference_row(momentum_many_rows(), "momentum_many", "f32").run({2, 0.9, true}, {parts.data(), &lr}, {});
  test::reference_row(momentum_rows(), "momentum", "f32")
      .run({5000, 0.05, 0.9, 1e-4, true}, {gradient.data(), v.data(), w.data()}, {});
  test::expect_same(v, many_v, "velocity");
  test::expect_same(w, many_w, "weight");
}

}  // namespace
}  // namespace octet::kernels
