// Codes of weights from update to update on the device: the reference's bits over many steps.
#include "core/random.h"
#include "kernels/oscillation/oscillation.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuOscillation : public test::OnDevice {};

template <class T>
void expect_equal(const std::vector<T>& wanted, const std::vector<T>& got, const std::string& what) {
  ASSERT_EQ(wanted.size(), got.size()) << what;
  for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_EQ(wanted[i], got[i]) << what << ", element " << i;
}

struct Case {
  std::int64_t channels, inner;
  bool per_channel, folded, freezes;
  QuantRule rule;
};

/// Weights that jump about the middle between two codes, some of them not finite, and a channel whose factor is 0.
void expect_equal_course(const Case& c) {
  OscillationProblem p{c.channels, c.inner, c.per_channel, -7, 7, c.rule, 0.1f, true};
  const auto count = static_cast<std::size_t>(c.channels * c.inner), channels = static_cast<std::size_t>(c.channels);
  Random random(static_cast<std::uint64_t>(count), Purpose::test);
  std::vector<float> weight(count), scale(c.per_channel ? channels : 1), factor(channels), threshold{0.12f},
      frequency(count), average(count);
  std::vector<std::int8_t> code(count), direction(count);
  std::vector<std::uint8_t> frozen(count);
  std::vector<std::int32_t> flips(channels);
  for (float& f : factor) f = static_cast<float>(random.uniform(-2, 2));
  if (channels > 3) factor[2] = 0;
  Buffer<float> weight_there(weight), scale_there(scale), factor_there(factor), threshold_there(threshold),
      frequency_there(frequency), average_there(average);
  Buffer<std::int8_t> code_there(code), direction_there(direction);
  Buffer<std::uint8_t> frozen_there(frozen);
  Buffer<std::int32_t> flips_there(flips);
  for (int step = 0; step < 12; ++step) {
    for (float& s : scale)
      s = static_cast<float>(random.uniform(0.9, 1.1)) * (c.rule == QuantRule::paddle ? 7.0f : 1.0f);
    for (float& w : weight) w = static_cast<float>(random.uniform(-8, 8));
    for (std::size_t i = 0; i < count; i += 3)
      weight[i] = static_cast<float>(i % 5) - 2.5f + static_cast<float>(random.uniform(-0.5, 0.5));
    if (count > 40) weight[7] = NAN, weight[8] = INFINITY;
    gpu::copy_from_host(weight_there.data(), weight.data(), count * sizeof(float));
    gpu::copy_from_host(scale_there.data(), scale.data(), scale.size() * sizeof(float));
    p.first = step == 0;
    const auto pointers = [&](auto&& of) {
      OscillationPointers x;
      x.weight = of(weight, weight_there), x.scale = of(scale, scale_there),
      x.factor = c.folded ? of(factor, factor_there) : nullptr;
      x.code = of(code, code_there), x.direction = of(direction, direction_there),
      x.frequency = of(frequency, frequency_there);
      x.flips = of(flips, flips_there);
      if (c.freezes)
        x.threshold = of(threshold, threshold_there), x.average = of(average, average_there),
        x.frozen = of(frozen, frozen_there);
      return x;
    };
    test::reference_row(oscillation_rows(), "oscillation_step", "f32")
        .run(p, pointers([](auto& host, auto&) { return host.data(); }), {});
    test::device_row(oscillation_rows(), "oscillation_step", "f32", p)
        ->run(p, pointers([](auto&, auto& device) { return device.data(); }), context_of(Device::cuda));
    const std::string what = p.str() + " step " + std::to_string(step);
    test::expect_same(weight, weight_there.values(), "weight, " + what);
    test::expect_same(frequency, frequency_there.values(), "frequency, " + what);
    expect_equal(code, code_there.values(), "code, " + what);
    expect_equal(direction, direction_there.values(), "direction, " + what);
    expect_equal(flips, flips_there.values(), "flips, " + what);
    test::expect_same(average, average_there.values(), "average, " + what);
    expect_equal(frozen, frozen_there.values(), "frozen, " + what);
  }
  const auto held = std::count(frozen.begin(), frozen.end(), std::uint8_t{1});
  if (c.freezes && count > 40) {
    EXPECT_GT(held, 0) << p.str();
    EXPECT_LT(held, static_cast<std::ptrdiff_t>(count)) << p.str();
  }
}

TEST_F(GpuOscillation, FrozenWeightsAreRestored) {
  for (const auto& [channels, inner] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 7}, {2, 5000}}) {
    OscillationProblem p;
    p.channels = channels, p.inner = inner;
    const auto count = static_cast<std::size_t>(channels * inner);
    std::vector<float> weight(count), held(count), wanted(count);
    std::vector<std::uint8_t> frozen(count);
    for (std::size_t i = 0; i < count; ++i) {
      weight[i] = static_cast<float>(i) + 0.5f, held[i] = -static_cast<float>(i), frozen[i] = i % 3 == 0;
      wanted[i] = frozen[i] != 0 ? held[i] : weight[i];
    }
    Buffer<float> held_there(held);
    Buffer<float> weight_there(weight);
    Buffer<std::uint8_t> frozen_there(frozen);
    OscillationPointers here, there;
    here.weight = weight.data(), here.held = held.data(), here.frozen = frozen.data();
    there.weight = weight_there.data(), there.held = held_there.data(), there.frozen = frozen_there.data();
    test::reference_row(oscillation_rows(), "oscillation_restore", "f32").run(p, here, {});
    test::device_row(oscillation_rows(), "oscillation_restore", "f32", p)->run(p, there, context_of(Device::cuda));
    test::expect_same(wanted, weight, "reference");
    test::expect_same(wanted, weight_there.values(), "device");
  }
}

TEST_F(GpuOscillation, StepsHaveTheReferencesBits) {
  for (const auto& [channels, inner] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {9, 9}, {5, 300}, {3, 1500}, {1, 9001}})
    for (const bool per_channel : {true, false})
      for (const bool folded : {false, true})
        for (const bool freezes : {false, true})
          expect_equal_course(
              {channels, inner, per_channel, folded, freezes, inner == 300 ? QuantRule::paddle : QuantRule::onnx});
}

}  // namespace
}  // namespace octet::kernels
