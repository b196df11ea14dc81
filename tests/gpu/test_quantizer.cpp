// What quantizers keep from step to step, on the device: rows beside the reference, bit for bit but for the sum of
// PACT's gradient.
#include "core/random.h"
#include "kernels/pact/pact.h"
#include "kernels/quantizer/quantizer.h"
#include "kernels/round_shift/round_shift.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using test::expect_same;

class GpuQuantizer : public test::OnDevice {};

constexpr ObserverKind kKinds[] = {
    ObserverKind::abs_max,       ObserverKind::moving_average, ObserverKind::paddle_moving_average,
    ObserverKind::range_abs_max, ObserverKind::min_max,        ObserverKind::extremes,
    ObserverKind::range_min_max};

std::vector<float> first_state(ObserverKind kind, std::int64_t window) {
  switch (kind) {
    case ObserverKind::paddle_moving_average:
      return {1, 1, 0};
    case ObserverKind::range_abs_max:
      return std::vector<float>(static_cast<std::size_t>(window) + 2, 0.0f);
    case ObserverKind::range_min_max:
      return std::vector<float>(2 * static_cast<std::size_t>(window) + 2, 0.0f);
    case ObserverKind::min_max:
    case ObserverKind::extremes:
      return {0, 0, 0};
    default:
      return {0, 0};
  }
}

template <class Problem, class Pointers>
void run_on_device(std::span<const Row<Problem, Pointers>> rows, const char* pass, const Problem& p,
                   const Pointers& x) {
  const auto* row = test::device_row(rows, pass, "f32", p);
  ASSERT_NE(row, nullptr);
  row->run(p, x, context_of(Device::cuda));
}

/// Batches of ranges in steps of one to three tensors, through both rows; states and scales must agree at every one.
void expect_equal_course(ObserverKind kind, std::int64_t window, bool with_top, const float* alpha) {
  std::vector<float> state = first_state(kind, window), step(5, 0.0f), scale(1);
  QuantizerProblem p;
  p.count = static_cast<std::int64_t>(state.size()) - 1, p.kind = kind, p.rate = 0.9;
  Buffer<float> state_there(state), step_there(step), scale_there(std::size_t{1}),
      alpha_there(std::vector<float>{alpha != nullptr ? *alpha : 0});
  Random random(static_cast<std::uint64_t>(window) + 7 * with_top, Purpose::test);
  for (int batch = 0; batch < 14; ++batch) {
    p.starts_step = batch % 3 != 1 && batch % 7 != 6;
    p.rule = batch % 2 == 0 ? QuantRule::onnx : QuantRule::paddle, p.hi = batch % 2 == 0 ? 255 : 7;
    std::vector<float> range{static_cast<float>(-3 * random.uniform()), static_cast<float>(5 * random.uniform())};
    if (batch == 4) range = {0, 0};
    if (batch == 11) range = {-INFINITY, 2};
    if (batch == 12) range = {std::nanf(""), std::nanf("")};
    Buffer<float> range_there(range);
    QuantizerPointers here, there;
    here.state = state.data(), here.step = step.data(), here.scale = scale.data(), here.alpha = alpha;
    there.state = state_there, there.step = step_there, there.scale = scale_there,
    there.alpha = alpha != nullptr ? alpha_there.data() : nullptr;
    if (batch != 9) {  // without a range: the scale alone
      (with_top ? here.top : here.range) = with_top ? range.data() + 1 : range.data();
      (with_top ? there.top : there.range) = with_top ? range_there.data() + 1 : range_there.data();
    }
    test::reference_row(quantizer_rows(), "observe", "f32").run(p, here, {});
    run_on_device(quantizer_rows(), "observe", p, there);
    const std::string what = p.str() + " batch " + std::to_string(batch);
    expect_same(state, state_there.values(), what + " state");
    expect_same(step, step_there.values(), what + " step");
    expect_same(scale, scale_there.values(), what + " scale");
    if (batch >= 12 && alpha == nullptr && kind != ObserverKind::range_abs_max && kind != ObserverKind::range_min_max) {
      EXPECT_FALSE(std::isfinite(scale[0])) << what << ": nothing is hidden";
    }
  }
}

TEST_F(GpuQuantizer, ObserversFollowTheReferenceBitForBit) {
  const float alpha = 1.5f;
  for (const ObserverKind kind : kKinds)
    for (const std::int64_t window : {1, 4, 300, 1000})
      for (const bool with_top : {false, true})
        for (const float* threshold : {static_cast<const float*>(nullptr), &alpha})
          expect_equal_course(kind, window, with_top, threshold);
}

TEST_F(GpuQuantizer, ScalesFloorsAndFactors) {
  for (const std::int64_t count : {1, 31, 257, 5000}) {
    std::vector<float> top = hostile::mixed_values(count, 3);
    for (float& x : top) x = std::fabs(x);
    const std::vector<float> src = hostile::mixed_values(count, 4), floor = hostile::mixed_values(count, 5),
                             alpha{0.75f};
    std::vector<float> wanted(static_cast<std::size_t>(count));
    Buffer<float> top_there(top), src_there(src), floor_there(floor), alpha_there(alpha), got(wanted.size());
    QuantizerProblem p;
    p.count = count, p.hi = 7, p.least = 0.25, p.factor = 1.0 / 3;
    for (const bool clipped : {false, true}) {
      test::reference_row(quantizer_rows(), "grid_scales", "f32")
          .run(p, {.top = top.data(), .alpha = clipped ? alpha.data() : nullptr, .scale = wanted.data()}, {});
      run_on_device(quantizer_rows(), "grid_scales", p,
                    {.top = top_there, .alpha = clipped ? alpha_there.data() : nullptr, .scale = got});
      expect_same(wanted, got.values(), "grid_scales");
      test::reference_row(quantizer_rows(), "at_least", "f32")
          .run(p, {.src = src.data(), .floor = clipped ? floor.data() : nullptr, .dst = wanted.data()}, {});
      run_on_device(quantizer_rows(), "at_least", p,
                    {.src = src_there, .floor = clipped ? floor_there.data() : nullptr, .dst = got});
      expect_same(wanted, got.values(), "at_least");
    }
    test::reference_row(quantizer_rows(), "scaled", "f32").run(p, {.src = src.data(), .dst = wanted.data()}, {});
    run_on_device(quantizer_rows(), "scaled", p, {.src = src_there, .dst = src_there});
    expect_same(wanted, src_there.values(), "scaled in place");
  }
}

TEST_F(GpuQuantizer, PactClipsAndItsGradientIsSummed) {
  for (const std::int64_t count : {1, 3, 64, 1025, 20000, 70001})
    for (const float alpha : {0.0f, 0.5f, 1e30f, std::nanf("")}) {
      const PactProblem p{count};
      std::vector<float> src(static_cast<std::size_t>(count)), gradient(src.size()), wanted(src.size()),
          wanted_alpha(1);
      Random random(static_cast<std::uint64_t>(count), Purpose::test);
      for (float& x : src) x = static_cast<float>(random.normal());
      for (float& x : gradient) x = static_cast<float>(random.normal());
      src[0] = INFINITY, src[src.size() / 2] = std::nanf(""), src.back() = alpha;
      Buffer<float> src_there(src), alpha_there(std::vector<float>{alpha}), gradient_there(gradient), got(src.size()),
          got_alpha(std::size_t{1});
      test::reference_row(pact_rows(), "pact_fwd", "f32")
          .run(p, {.src = src.data(), .alpha = &alpha, .dst = wanted.data()}, {});
      run_on_device(pact_rows(), "pact_fwd", p, {.src = src_there, .alpha = alpha_there, .dst = got});
      expect_same(wanted, got.values(), p.str());
      test::reference_row(pact_rows(), "pact_bwd", "f32")
          .run(p,
               {.src = src.data(),
                .alpha = &alpha,
                .d_dst = gradient.data(),
                .d_src = wanted.data(),
                .d_alpha = wanted_alpha.data()},
               {});
      run_on_device(
          pact_rows(), "pact_bwd", p,
          {.src = src_there, .alpha = alpha_there, .d_dst = gradient_there, .d_src = got, .d_alpha = got_alpha});
      expect_same(wanted, got.values(), p.str() + " d_src");
      double terms = 0;
      for (const float g : gradient) terms += std::fabs(static_cast<double>(g));
      EXPECT_NEAR(wanted_alpha[0], got_alpha.values()[0], 1e-12 * terms + 1e-6 * std::fabs(wanted_alpha[0])) << p.str();
    }
}

TEST_F(GpuQuantizer, ShiftsRoundAsTheReferenceRoundsThem) {
  for (const std::int64_t c : {1, 7, 32, 300})
    for (const bool per_channel : {true, false})
      for (const bool bias : {false, true}) {
        const RoundShiftProblem p{c, per_channel};
        std::vector<float> scale = hostile::mixed_values(c, 8), shift = hostile::mixed_values(c, 9),
                           s_w = hostile::mixed_values(c, 10), wanted(shift.size());
        for (float& s : s_w) s = std::fabs(s) * 0.01f;
        const float s_x = 0.02f;
        if (c > 1) scale[1] = 0, shift[0] = 1e30f;
        test::reference_row(round_shift_rows(), "round_shift", "f32")
            .run(p, {bias ? nullptr : scale.data(), shift.data(), &s_x, s_w.data(), wanted.data()}, {});
        Buffer<float> scale_there(scale), shift_there(shift), s_x_there(std::vector<float>{s_x}), s_w_there(s_w);
        run_on_device(round_shift_rows(), "round_shift", p,
                      {bias ? nullptr : scale_there.data(), shift_there, s_x_there, s_w_there, shift_there});
        expect_same(wanted, shift_there.values(), p.str());
      }
}

}  // namespace
}  // namespace octet::kernels
