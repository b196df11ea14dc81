// What the kernel tests share: buffers that end at an unmapped page, hostile values, comparison of bits, and loops over
// the rows that this processor can run and over thread counts.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/cpu_features.h"
#include "core/parallel.h"
#include "core/random.h"
#include "kernels/select.h"

namespace octet::kernels::hostile {

/// `count` elements whose last byte is the last before a page that may not be touched: reading or writing beyond the
/// end ends the program. intact() tells whether the bytes before the first element are as they were.
template <class T>
class PageEnd {
 public:
  explicit PageEnd(std::int64_t count) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    front_ = page + (page - bytes % page) % page;
    mapped_ = front_ + bytes + page;
    base_ =
        static_cast<std::uint8_t*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    if (mprotect(base_ + front_ + bytes, page, PROT_NONE) != 0) throw std::bad_alloc();
    std::memset(base_, kGuard, front_);
  }
  explicit PageEnd(const std::vector<T>& values) : PageEnd(static_cast<std::int64_t>(values.size())) {
    for (std::size_t i = 0; i < values.size(); ++i) data()[i] = values[i];
  }
  PageEnd(PageEnd&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)),
        front_(other.front_),
        mapped_(other.mapped_),
        count_(other.count_) {}
  PageEnd& operator=(PageEnd&&) = delete;
  ~PageEnd() {
    if (base_ != nullptr) munmap(base_, mapped_);
  }

  T* data() { return reinterpret_cast<T*>(base_ + front_); }
  const T* data() const { return reinterpret_cast<const T*>(base_ + front_); }
  std::int64_t size() const { return count_; }
  T& operator[](std::int64_t i) { return data()[i]; }
  const T& operator[](std::int64_t i) const { return data()[i]; }
  std::span<T> span() { return {data(), static_cast<std::size_t>(count_)}; }
  std::vector<T> copy() const { return std::vector<T>(data(), data() + count_); }
  bool intact() const {
    for (std::size_t i = 0; i < front_; ++i) {
      if (base_[i] != kGuard) return false;
    }
    return true;
  }

 private:
  static constexpr std::uint8_t kGuard = 0xa5;
  std::uint8_t* base_ = nullptr;
  std::size_t front_ = 0, mapped_ = 0;
  std::int64_t count_ = 0;
};

/// Uniform in [lo, hi), a function of the seed.
template <class T = float>
std::vector<T> random_values(std::int64_t count, std::uint64_t seed, double lo = -1, double hi = 1) {
  Random random(seed, Purpose::test);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& v : values) v = static_cast<T>(random.uniform(lo, hi));
  return values;
}

/// NaN, infinities, zeros, denormals, extremes, ties of a grid of step 1.
template <class T = float>
std::vector<T> hostile_values() {
  using L = std::numeric_limits<T>;
  return {L::quiet_NaN(),   L::infinity(), -L::infinity(), T(0),     -T(0),       L::denorm_min(),
          -L::denorm_min(), L::min(),      -L::min(),      L::max(), L::lowest(), T(0.5),
          T(-0.5),          T(1.5),        T(-1.5),        T(2.5),   T(6),        T(127.5),
          T(-127.5),        T(0.49999997), T(1),           T(-1),    T(3.4e-39),  T(1e30)};
}

/// random_values with a hostile value at every `every`-th place or so.
template <class T = float>
std::vector<T> mixed_values(std::int64_t count, std::uint64_t seed, std::uint64_t every = 7) {
  std::vector<T> values = random_values<T>(count, seed, -3, 8);
  const std::vector<T> special = hostile_values<T>();
  Random random(seed, Purpose::test, 1);
  for (T& v : values) {
    if (random.below(every) == 0) v = special[random.below(special.size())];
  }
  return values;
}

template <class T>
bool same_value(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) && std::isnan(b)) return true;  // payloads are not part of the contract
  }
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

/// Equal bits (any NaN equals any other), or a message with the first difference.
template <class T>
testing::AssertionResult same_bits(const T* wanted, const T* got, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (!same_value(wanted[i], got[i])) {
      return testing::AssertionFailure() << "first difference at " << i << " of " << count << ": wanted " << +wanted[i]
                                         << ", got " << +got[i];
    }
  }
  return testing::AssertionSuccess();
}
template <class A, class B>
testing::AssertionResult same_bits(const A& wanted, const B& got) {
  const auto count = static_cast<std::int64_t>(wanted.size());
  if constexpr (requires { got.intact(); }) {
    if (count != static_cast<std::int64_t>(got.size()))
      return testing::AssertionFailure() << count << " wanted, " << got.size() << " got";
    if (!got.intact()) return testing::AssertionFailure() << "bytes before the first element were overwritten";
  }
  return same_bits(wanted.data(), got.data(), count);
}

/// Is the row one of the processor, and may it run on this one, under OCTET_ISA?
template <class R>
bool runnable(const R& row) {
  return same_text(row.device, "cpu") && usable(required_isa(row.impl));
}
template <class R>
const R& reference_row(std::span<const R> rows, const char* pass, const char* dtypes) {
  for (const R& row : rows) {
    if (same_text(row.pass, pass) && same_text(row.dtypes, dtypes) && same_text(row.impl, "reference")) return row;
  }
  throw std::runtime_error(std::string("no reference row for ") + pass);
}
/// f(row) for every row of the processor for (pass, dtypes) that runs here, is no reference, and no vendor's.
template <class R, class F>
void for_own_rows(std::span<const R> rows, const char* pass, const char* dtypes, F f) {
  for (const R& row : rows) {
    if (!same_text(row.pass, pass) || !same_text(row.dtypes, dtypes) || same_text(row.impl, "reference")) continue;
    if (is_vendor(row.impl) || !runnable(row)) continue;
    SCOPED_TRACE(std::string(row.pass) + " " + row.dtypes + " " + row.impl);
    f(row);
  }
}

/// f() under 1, 2 and 3 threads; the number is put back.
template <class F>
void for_threads(F f) {
  const int before = num_threads();
  for (int threads : {1, 2, 3}) {
    SCOPED_TRACE("threads " + std::to_string(threads));
    set_num_threads(threads);
    f();
  }
  set_num_threads(before);
}

}  // namespace octet::kernels::hostile
