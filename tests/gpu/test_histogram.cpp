// Histograms on the device: the reference's bits, batch by batch.
#include "kernels/histogram/histogram.h"

#include "core/random.h"
#include "tests/gpu/device.h"

namespace octet::kernels {
namespace {

using test::Buffer;

class GpuHistogram : public test::OnDevice {};

/// The same histogram here and there.
class Pair {
 public:
  explicit Pair(int sides) : here_(static_cast<std::size_t>(histogram_size(sides))), there_(here_) { p_.sides = sides; }
  void show(const std::vector<float>& values, float top, double decay) {
    p_.decay = decay, p_.count = static_cast<std::int64_t>(values.size());
    Buffer<float> top_there(std::vector<float>{top}), src_there(values);
    run("histogram_fit", {.top = &top}, {.top = top_there});
    run("histogram_add", {.src = values.data()}, {.src = src_there});
  }
  void search(HistogramRule rule, std::int32_t hi, double share) {
    p_.rule = rule, p_.hi = hi, p_.share = share;
    run("histogram_search", {}, {});
  }

 private:
  void run(const char* pass, HistogramPointers here, HistogramPointers there) {
    here.state = here_.data(), there.state = there_;
    test::reference_row(histogram_rows(), pass, "f32").run(p_, here, {});
    const HistogramRow* row = test::device_row(histogram_rows(), pass, "f32", p_);
    ASSERT_NE(row, nullptr);
    row->run(p_, there, context_of(Device::cuda));
    test::expect_same(here_, there_.values(), std::string(pass) + ' ' + p_.str());
  }
  HistogramProblem p_;
  std::vector<float> here_;
  Buffer<float> there_;
};

std::vector<float> batch_of(std::size_t count, double scale, std::uint64_t seed) {
  std::vector<float> values(count);
  Random random(seed, Purpose::test);
  for (float& x : values) x = random.below(5) == 0 ? 0 : static_cast<float>(scale * (random.normal() + 0.5));
  return values;
}

float top_of(const std::vector<float>& values) {
  float top = 0;
  for (const float x : values) top = std::max(top, std::fabs(x));
  return top;
}

TEST_F(GpuHistogram, FollowsTheReferenceBitForBit) {
  for (const int sides : {1, 2}) {
    Pair both(sides);
    std::uint64_t seed = 0;
    // It grows, forgets, shrinks.
    for (const double scale : {1e-30, 1.0, 50.0, 1.0, 1.0, 1.0, 1.0, 1e-3, 1e-3, 1e38})
      for (const std::size_t count : {1, 700, 3000}) {
        const std::vector<float> values = batch_of(count, scale, ++seed);
        both.show(values, top_of(values), scale == 1 ? 0.2 : 1);
      }
    both.show({1}, INFINITY, 1);
    both.search(HistogramRule::mse, 127, 1);
  }
}

TEST_F(GpuHistogram, FindsTheReferencesThresholds) {
  for (const int sides : {1, 2}) {
    Pair both(sides);
    for (const HistogramRule rule : {HistogramRule::percentile, HistogramRule::kl, HistogramRule::mse}) {
      if (sides == 2 && rule == HistogramRule::kl) continue;
      both.search(rule, 127, 0.99);  // of nothing
    }
    for (const std::size_t count : {1, 40, 3000}) {
      const std::vector<float> values = batch_of(count, 3, count);
      both.show(values, top_of(values), 0.9);
      for (const std::int32_t hi : {1, 15, 255}) {
        both.search(HistogramRule::percentile, hi, hi == 1 ? 1 : 0.9);
        both.search(HistogramRule::mse, hi, 1);
        if (sides == 1) both.search(HistogramRule::kl, hi, 1);
      }
    }
  }
}

}  // namespace
}  // namespace octet::kernels
