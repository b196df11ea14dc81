#include "kernels/fake_quant/fake_quant.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using test::expect_same;

class GpuFakeQuant : public test::OnDevice {};

struct Extent {
  std::int64_t channels, inner;
};
// Tails, one element, a warp to a row, a block to a row, slices; lengths that are no packs of four.
const Extent kExtents[] = {{1, 1}, {1, 16}, {1, 1000}, {1, 1025}, {1, 20004}, {1, 9001},
                           {3, 1}, {5, 9},  {33, 27},  {70, 12},  {2, 1028},  {3, 8193}};

std::vector<FakeQuantProblem> problems(Extent extent) {
  std::vector<FakeQuantProblem> all;
  for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle})
    for (const bool masked : {true, false}) all.push_back({extent.channels, extent.inner, 0, -127, 127, rule, masked});
  all.push_back({extent.channels, extent.inner, 100, 0, 255, QuantRule::onnx, true});
  all.push_back({extent.channels, extent.inner, 0, -1, 1, QuantRule::onnx, true});
  return all;
}

std::vector<float> scales_of(const FakeQuantProblem& p) {
  const float special[] = {
      p.rule == QuantRule::onnx ? 0.5f : 3.0f, 0.1f, 5.42101086e-20f, 1e-31f, 1e-40f, 3e38f, 1.0f, 1e10f};
  std::vector<float> scale(static_cast<std::size_t>(p.channels));
  for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = special[c % std::size(special)];
  return scale;
}

const FakeQuantRow& reference(const char* pass) { return test::reference_row(fake_quant_rows(), pass, "f32"); }
void run_on_device(const char* pass, const FakeQuantProblem& p, const FakeQuantPointers& x) {
  const FakeQuantRow* row = test::device_row(fake_quant_rows(), pass, "f32", p);
  ASSERT_NE(row, nullptr);
  row->run(p, x, context_of(Device::cuda));
}

TEST_F(GpuFakeQuant, ForwardHasTheReferencesBits) {
  for (const Extent& extent : kExtents)
    for (const FakeQuantProblem& p : problems(extent)) {
      const std::vector<float> src = hostile::mixed_values(p.channels * p.inner, 1), scale = scales_of(p);
      std::vector<float> wanted(src.size());
      reference("fake_quant_fwd").run(p, {.src = src.data(), .scale = scale.data(), .dst = wanted.data()}, {});
      Buffer<float> dsrc(src), dscale(scale), dst(src.size());
      run_on_device("fake_quant_fwd", p, {.src = dsrc, .scale = dscale, .dst = dst});
      expect_same(wanted, dst.values(), p.str());
      run_on_device("fake_quant_fwd", p, {.src = dsrc, .scale = dscale, .dst = dsrc});
      expect_same(wanted, dsrc.values(), p.str() + " in place");
    }
}

/// Values around the grid, NaN and infinities among them where `hostile` (whose sums mean little).
void expect_backward(const FakeQuantProblem& p, bool hostile_values, bool learned) {
  const std::int64_t count = p.channels * p.inner;
  const std::vector<float> src =
      hostile_values ? hostile::mixed_values(count, 2) : hostile::random_values<float>(count, 2, -90, 90);
  const std::vector<float> d_dst = hostile::random_values<float>(count, 3), scale = scales_of(p);
  std::vector<float> wanted(src.size()), sums(scale.size());
  reference("fake_quant_bwd")
      .run(p,
           {.src = src.data(),
            .scale = scale.data(),
            .d_dst = d_dst.data(),
            .d_src = wanted.data(),
            .d_scale = learned ? sums.data() : nullptr},
           {});
  Buffer<float> dsrc(src), dscale(scale), gradient(d_dst), d_src(src.size()), d_scale(scale.size());
  FakeQuantPointers x{
      .src = dsrc, .scale = dscale, .d_dst = gradient, .d_src = d_src, .d_scale = learned ? d_scale.data() : nullptr};
  run_on_device("fake_quant_bwd", p, x);
  expect_same(wanted, d_src.values(), p.str());
  // Sums of doubles in another order differ by far less than the rounding to float.
  if (learned) test::expect_near(sums, d_scale.values(), 1.2e-7, p.str() + " d_scale");
  x.d_src = gradient;
  run_on_device("fake_quant_bwd", p, x);
  expect_same(wanted, gradient.values(), p.str() + " in place");
  if (learned) test::expect_near(sums, d_scale.values(), 1.2e-7, p.str() + " d_scale in place");
}

TEST_F(GpuFakeQuant, BackwardHasTheReferencesBitsAndItsSums) {
  for (const Extent& extent : kExtents)
    for (const FakeQuantProblem& p : problems(extent)) {
      expect_backward(p, true, false);
      FakeQuantProblem scaled = p;
      scaled.delta = 0.3;
      expect_backward(scaled, true, false);
      expect_backward(p, false, false);
      if (p.masked) expect_backward(p, false, true);
      if (p.masked) expect_backward(p, true, true);
    }
}

TEST_F(GpuFakeQuant, ClippedSumsAreTheReferences) {
  for (const Extent& extent : kExtents)
    for (const FakeQuantProblem& p : problems(extent))
      for (const bool hostile_values : {false, true}) {
        const std::int64_t count = p.channels * p.inner;
        const std::vector<float> src =
            hostile_values ? hostile::mixed_values(count, 2) : hostile::random_values<float>(count, 2, -90, 90);
        const std::vector<float> d_dst = hostile::random_values<float>(count, 3), scale = scales_of(p);
        std::vector<float> wanted(scale.size());
        reference("clipped_sum")
            .run(p, {.src = src.data(), .scale = scale.data(), .d_dst = d_dst.data(), .out = wanted.data()}, {});
        Buffer<float> dsrc(src), dscale(scale), gradient(d_dst), out(scale.size());
        run_on_device("clipped_sum", p, {.src = dsrc, .scale = dscale, .d_dst = gradient, .out = out});
        test::expect_near(wanted, out.values(), 1.2e-7, p.str());
      }
}

TEST_F(GpuFakeQuant, SumsAreTheSameAgain) {
  const FakeQuantProblem p{1, 20004, 0, -127, 127, QuantRule::onnx, true};
  const std::vector<float> src = hostile::random_values<float>(p.inner, 4, -90, 90),
                           d_dst = hostile::random_values<float>(p.inner, 5);
  Buffer<float> dsrc(src), gradient(d_dst), d_src(src.size()), scale(std::vector<float>{0.37f}), first(1), again(1);
  run_on_device("fake_quant_bwd", p,
                {.src = dsrc, .scale = scale, .d_dst = gradient, .d_src = d_src, .d_scale = first});
  run_on_device("fake_quant_bwd", p,
                {.src = dsrc, .scale = scale, .d_dst = gradient, .d_src = d_src, .d_scale = again});
  expect_same(first.values(), again.values(), p.str());
}

void expect_observed(const char* pass, const FakeQuantProblem& p, const std::vector<float>& src) {
  const std::size_t results = static_cast<std::size_t>(p.channels) * (same_text(pass, "min_max") ? 2 : 1);
  std::vector<float> wanted(results);
  reference(pass).run(p, {.src = src.data(), .out = wanted.data()}, {});
  Buffer<float> dsrc(src), out(results);
  run_on_device(pass, p, {.src = dsrc, .out = out});
  expect_same(wanted, out.values(), std::string(pass) + ' ' + p.str());
}

TEST_F(GpuFakeQuant, ObserversHaveTheReferencesBits) {
  for (const char* pass : {"abs_max", "min_max"})
    for (const Extent& extent : kExtents) {
      const FakeQuantProblem p{extent.channels, extent.inner};
      const std::int64_t count = p.channels * p.inner;
      expect_observed(pass, p, hostile::random_values<float>(count, 6, -3, 2));
      expect_observed(pass, p, hostile::random_values<float>(count, 7, 1, 2));
      expect_observed(pass, p, std::vector<float>(static_cast<std::size_t>(count), -0.0f));
      expect_observed(pass, p, std::vector<float>(static_cast<std::size_t>(count), -INFINITY));
      expect_observed(pass, p, hostile::mixed_values(count, 8, 300));
      // One NaN at either end.
      for (const std::int64_t at : {std::int64_t{0}, p.inner - 1, count - 1}) {
        std::vector<float> src = hostile::random_values<float>(count, 9);
        src[static_cast<std::size_t>(at)] = at % 2 == 0 ? std::nanf("") : -std::nanf("");
        expect_observed(pass, p, src);
      }
    }
}

TEST_F(GpuFakeQuant, ThresholdsHaveTheReferencesBits) {
  for (const Extent& extent : kExtents)
    for (const std::int32_t hi : {1, 127}) {
      const bool large = extent.channels * extent.inner > 2000;
      if (large && hi == 1) continue;
      FakeQuantProblem p{extent.channels, extent.inner};
      p.hi = hi;
      for (const std::int64_t rank : {std::int64_t{1}, (p.inner + 1) / 2, p.inner}) {
        p.rank = rank;
        const std::vector<float> src = hostile::random_values<float>(p.channels * p.inner, 6, -3, 2);
        expect_observed("quantile", p, src);
        // Sums in another order decide alike unless two thresholds lose the same to a part in 10^15.
        if (rank == 1) expect_observed("mse_top", p, src);
        // So do moments but for the last digit.
        p.rms_factor = 2.5, p.mean_factor = 1.6;
        std::vector<float> wanted(static_cast<std::size_t>(p.channels));
        reference("sawb_top").run(p, {.src = src.data(), .out = wanted.data()}, {});
        Buffer<float> dsrc(src), out(wanted.size());
        run_on_device("sawb_top", p, {.src = dsrc, .out = out});
        test::expect_near(wanted, out.values(), 1.2e-7, "sawb_top " + p.str());
      }
      for (const float lost : {std::nanf(""), INFINITY}) {
        if (large) continue;
        std::vector<float> src = hostile::random_values<float>(p.channels * p.inner, 9);
        src[src.size() / 2] = lost;
        expect_observed("quantile", p, src);
        expect_observed("mse_top", p, src);
        expect_observed("sawb_top", p, src);
      }
      expect_observed("quantile", p, std::vector<float>(static_cast<std::size_t>(p.channels * p.inner), -0.0f));
    }
}

TEST_F(GpuFakeQuant, NoElementsHaveTheReferencesBounds) {
  for (const char* pass : {"abs_max", "min_max"}) expect_observed(pass, {3, 0}, {});
}

/// A channel's greatest weight stands at `peak`, a part of its length; with several channels the first is dead.
std::vector<float> weights_of(const FakeQuantProblem& p, double peak) {
  std::vector<float> src = hostile::random_values<float>(p.channels * p.inner, 10, -2, 2);
  for (std::int64_t c = 0; c < p.channels; ++c)
    src[static_cast<std::size_t>(c * p.inner) + static_cast<std::size_t>(peak * static_cast<double>(p.inner - 1))] =
        -2.5f;
  if (p.channels > 1) std::fill(src.begin(), src.begin() + p.inner, 0.0f);
  return src;
}

void expect_weights_quantized(const FakeQuantProblem& p, const std::vector<float>& src, bool with_codes) {
  const std::size_t channels = static_cast<std::size_t>(p.channels);
  std::vector<float> wanted(src.size()), scale(channels);
  std::vector<std::int8_t> codes(src.size());
  reference("weight_quant_fwd")
      .run(p, {.src = src.data(), .dst = wanted.data(), .out = scale.data(), .codes = codes.data()}, {});
  Buffer<float> dsrc(src), dst(src.size()), out(channels);
  Buffer<std::int8_t> dcodes(src.size());
  run_on_device("weight_quant_fwd", p,
                {.src = dsrc, .dst = dst, .out = out, .codes = with_codes ? dcodes.data() : nullptr});
  expect_same(scale, out.values(), p.str() + " scales");
  expect_same(wanted, dst.values(), p.str());
  if (with_codes) {
    EXPECT_EQ(codes, dcodes.values()) << p.str();
  }
}

TEST_F(GpuFakeQuant, WeightQuantHasTheReferencesBits) {
  for (const Extent& extent : kExtents)
    for (const QuantRule rule : {QuantRule::onnx, QuantRule::paddle}) {
      const FakeQuantProblem p{extent.channels, extent.inner, 0, -127, 127, rule, true};
      expect_weights_quantized(p, weights_of(p, 0), false);
      for (const double peak : {0.16, 0.5, 0.991, 1.0}) expect_weights_quantized(p, weights_of(p, peak), true);
    }
  // The peak in each warp of a block.
  const FakeQuantProblem p{1, 1028};
  for (int warp = 0; warp < 8; ++warp) expect_weights_quantized(p, weights_of(p, (128 * warp + 64) / 1027.0), true);
}

TEST_F(GpuFakeQuant, LostChannelsOfWeightQuantAreSeen) {
  const FakeQuantProblem p{3, 5000};
  std::vector<float> src = hostile::random_values<float>(p.channels * p.inner, 11);
  src[4999] = INFINITY, src[5000] = std::nanf("");
  Buffer<float> dsrc(src), dst(src.size()), out(3);
  run_on_device("weight_quant_fwd", p, {.src = dsrc, .dst = dst, .out = out});
  const std::vector<float> scale = out.values();
  EXPECT_TRUE(std::isinf(scale[0]));
  EXPECT_TRUE(std::isnan(scale[1]));
  EXPECT_TRUE(std::isfinite(scale[2]));
}

TEST_F(GpuFakeQuant, PlacesOffThePackAreRead) {
  const FakeQuantProblem p{1, 2048, 0, -127, 127, QuantRule::onnx, true};
  const std::vector<float> src = hostile::random_values<float>(p.inner + 1, 12), scale{0.01f};
  std::vector<float> wanted(static_cast<std::size_t>(p.inner)), top(1);
  reference("fake_quant_fwd").run(p, {.src = src.data() + 1, .scale = scale.data(), .dst = wanted.data()}, {});
  reference("abs_max").run(p, {.src = src.data() + 1, .out = top.data()}, {});
  Buffer<float> dsrc(src), dscale(scale), dst(wanted.size()), out(1);
  run_on_device("fake_quant_fwd", p, {.src = dsrc.data() + 1, .scale = dscale, .dst = dst});
  expect_same(wanted, dst.values(), "fake_quant_fwd");
  run_on_device("abs_max", p, {.src = dsrc.data() + 1, .out = out});
  expect_same(top, out.values(), "abs_max");
}

}  // namespace
}  // namespace octet::kernels
