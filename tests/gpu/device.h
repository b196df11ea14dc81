// What tests of the device share: they run on a CUDA device where there is one, else on the emulated one.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/gpu/gpu.h"
#include "core/tensor.h"
#include "kernels/select.h"

namespace octet::test {

/// Takes a device; skips the test with a notice where this build and machine have none.
class OnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (gpu::kind() == gpu::Kind::none && gpu::can_emulate()) gpu::use_emulated();
    if (gpu::kind() == gpu::Kind::none) GTEST_SKIP() << "no device: " << gpu::description();
  }
};

/// Values on the device, and back. Between the values of two buffers lie guards that a kernel must leave alone.
template <class T>
class Buffer {
 public:
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
    gpu::copy_from_host(data(), values.data(), values.size() * sizeof(T));
  }
  /// Of so many values, each all bits set.
  explicit Buffer(std::size_t count) : count_(count) {
    const std::vector<unsigned char> guards(bytes(), 0xff);
    memory_ = gpu::allocate(bytes());
    gpu::copy_from_host(memory_.get(), guards.data(), guards.size());
  }
  T* data() { return reinterpret_cast<T*>(static_cast<char*>(memory_.get()) + kGuard); }
  operator T*() { return data(); }
  /// Also checks the guards.
  std::vector<T> values() {
    std::vector<unsigned char> all(bytes());
    gpu::copy_to_host(all.data(), memory_.get(), all.size());
    for (std::size_t i = 0; i < kGuard; ++i) EXPECT_EQ(all[i], 0xff) << "written in front of a buffer";
    for (std::size_t i = all.size() - kGuard; i < all.size(); ++i) EXPECT_EQ(all[i], 0xff) << "written behind a buffer";
    const T* begin = reinterpret_cast<const T*>(all.data() + kGuard);
    return {begin, begin + count_};
  }

 private:
  static constexpr std::size_t kGuard = 256;
  std::size_t bytes() const { return 2 * kGuard + count_ * sizeof(T); }
  std::size_t count_;
  std::shared_ptr<void> memory_;
};

/// The device's row for a pass; fails the test where there is none that takes the problem.
template <class R, class Problem>
const R* device_row(std::span<const R> rows, const char* pass, const char* dtypes, const Problem& problem) {
  const R* row = kernels::find_row(rows, pass, dtypes, problem, Device::cuda);
  EXPECT_NE(row, nullptr) << pass << ' ' << dtypes << " [" << problem.str() << "] has no row of the device";
  return row;
}
/// The processor's reference row.
template <class R>
const R& reference_row(std::span<const R> rows, const char* pass, const char* dtypes) {
  for (const R& row : rows)
    if (kernels::same_text(row.pass, pass) && kernels::same_text(row.dtypes, dtypes) &&
        kernels::same_text(row.impl, "reference"))
      return row;
  throw std::runtime_error(std::string("no reference row for ") + pass);
}

/// The reference row here, and the device's row there, each on its own pointers.
template <class R, class Problem, class Pointers>
void run_both(std::span<const R> rows, const char* pass, const Problem& p, const Pointers& here,
              const Pointers& there) {
  reference_row(rows, pass, "f32").run(p, here, {});
  const R* row = device_row(rows, pass, "f32", p);
  ASSERT_NE(row, nullptr);
  row->run(p, there, kernels::context_of(Device::cuda));
}

/// |a - b| <= epsilon · (bound of the terms' magnitudes), element by element; NaN equals NaN.
inline void expect_near(const std::vector<float>& wanted, const std::vector<float>& got, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(wanted.size(), got.size()) << what;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (std::isnan(wanted[i]) && std::isnan(got[i])) continue;
    ASSERT_LE(std::fabs(double{wanted[i]} - got[i]), tolerance * std::max(1.0, std::fabs(double{wanted[i]})))
        << what << ", element " << i;
  }
}
/// Equal bits, any NaN for any NaN.
inline void expect_same(const std::vector<float>& wanted, const std::vector<float>& got, const std::string& what) {
  ASSERT_EQ(wanted.size(), got.size()) << what;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (std::isnan(wanted[i]) && std::isnan(got[i])) continue;
    ASSERT_TRUE(wanted[i] == got[i] && std::signbit(wanted[i]) == std::signbit(got[i]))
        << what << ", element " << i << ": " << wanted[i] << " became " << got[i];
  }
}

}  // namespace octet::test
