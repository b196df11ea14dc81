#include "benchmarks/operands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/allocator.h"
#include "core/random.h"

namespace octet::bench {
namespace {

constexpr std::uint64_t kSeed = 20;

double value_at(const void* memory, DType dtype, std::int64_t i) {
  switch (dtype) {
    case DType::f32:
      return static_cast<const float*>(memory)[i];
    case DType::u8:
      return static_cast<const std::uint8_t*>(memory)[i];
    case DType::s8:
      return static_cast<const std::int8_t*>(memory)[i];
    default:
      return static_cast<const std::int32_t*>(memory)[i];
  }
}

}  // namespace

void* Operands::add(Role role, std::int64_t count, DType dtype) {
  Buffer buffer{role, dtype, count, nullptr, {}, {}};
  buffer.memory = allocate(buffer.bytes());
  std::memset(buffer.memory.get(), 0xa5, buffer.bytes());
  buffers_.push_back(std::move(buffer));
  return buffers_.back().memory.get();
}

float* Operands::input(std::int64_t count, double lo, double hi) {
  Random random(kSeed, Purpose::test, buffers_.size());
  auto* values = static_cast<float*>(add(Role::input, count, DType::f32));
  for (std::int64_t i = 0; i < count; ++i) {
    // 24 bits are all that an f32 keeps, and half the cost of a draw of 53.
    values[i] = static_cast<float>(lo + (hi - lo) * (random.bits() >> 8) * 0x1p-24);
  }
  return values;
}

void* Operands::codes(std::int64_t count, DType dtype, int lo, int hi) {
  Random random(kSeed, Purpose::test, buffers_.size());
  auto* values = static_cast<std::uint8_t*>(add(Role::input, count, dtype));
  const auto range = static_cast<std::uint64_t>(hi - lo + 1);
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<std::uint8_t>(lo + static_cast<int>((random.bits() * range) >> 32));
  }
  return values;
}

std::int32_t* Operands::integers(std::int64_t count, std::int32_t lo, std::int32_t hi) {
  Random random(kSeed, Purpose::test, buffers_.size());
  auto* values = static_cast<std::int32_t*>(add(Role::input, count, DType::s32));
  for (std::int64_t i = 0; i < count; ++i)
    values[i] = lo + static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(hi - lo) + 1));
  return values;
}

void* Operands::output(std::int64_t count, DType dtype) { return add(Role::output, count, dtype); }

void* Operands::unchecked_output(std::int64_t count, DType dtype) { return add(Role::unchecked, count, dtype); }

float* Operands::state(std::int64_t count) {
  float* values = input(count);
  Buffer& buffer = buffers_.back();
  buffer.role = Role::state;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values);
  buffer.initial.assign(bytes, bytes + buffer.bytes());
  return values;
}

void Operands::start_anew() {
  for (Buffer& buffer : buffers_) {
    if (buffer.role == Role::output) std::memset(buffer.memory.get(), 0xa5, buffer.bytes());
    if (buffer.role == Role::state) std::memcpy(buffer.memory.get(), buffer.initial.data(), buffer.bytes());
  }
}

void Operands::keep_reference(const Run& reference) {
  start_anew();
  reference();
  for (Buffer& buffer : buffers_) {
    if (buffer.role == Role::input || buffer.role == Role::unchecked) continue;
    const auto* bytes = static_cast<const std::uint8_t*>(buffer.memory.get());
    buffer.reference.assign(bytes, bytes + buffer.bytes());
  }
}

std::string Operands::compare_bits(const Run& run) {
  start_anew();
  run();
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const Buffer& buffer = buffers_[b];
    if (buffer.role == Role::input || buffer.role == Role::unchecked || buffer.bytes() == 0) continue;
    if (std::memcmp(buffer.memory.get(), buffer.reference.data(), buffer.bytes()) == 0) continue;
    const std::size_t width = size_of(buffer.dtype);
    const auto* got = static_cast<const std::uint8_t*>(buffer.memory.get());
    std::int64_t i = 0;
    while (std::memcmp(got + static_cast<std::size_t>(i) * width,
                       buffer.reference.data() + static_cast<std::size_t>(i) * width, width) == 0)
      ++i;
    return fmt::format("operand {} differs from the reference at {} of {}: {} instead of {}", b, i, buffer.count,
                       value_at(got, buffer.dtype, i), value_at(buffer.reference.data(), buffer.dtype, i));
  }
  return {};
}

std::string Operands::compare_codes(const Run& run) {
  start_anew();
  run();
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const Buffer& buffer = buffers_[b];
    if (buffer.role != Role::output) continue;
    for (std::int64_t i = 0; i < buffer.count; ++i) {
      const double got = value_at(buffer.memory.get(), buffer.dtype, i),
                   wanted = value_at(buffer.reference.data(), buffer.dtype, i);
      const double bound = buffer.dtype == DType::f32 ? 1e-5 * std::max(1.0, std::fabs(wanted)) : 1;
      if (std::fabs(got - wanted) <= bound) continue;
      return fmt::format("operand {} at {} of {}: {} instead of {}", b, i, buffer.count, got, wanted);
    }
  }
  return {};
}

std::vector<std::vector<float>> Operands::magnitudes(const Run& reference) {
  std::vector<std::vector<float>> inputs(buffers_.size()), sums(buffers_.size());
  const auto floats = [](const Buffer& buffer) { return static_cast<float*>(buffer.memory.get()); };
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    Buffer& buffer = buffers_[b];
    if (buffer.role != Role::input || buffer.dtype != DType::f32) continue;
    inputs[b].assign(floats(buffer), floats(buffer) + buffer.count);
    for (std::int64_t i = 0; i < buffer.count; ++i) floats(buffer)[i] = std::fabs(floats(buffer)[i]);
  }
  reference();
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    Buffer& buffer = buffers_[b];
    if (buffer.role == Role::output && buffer.dtype == DType::f32)
      sums[b].assign(floats(buffer), floats(buffer) + buffer.count);
    if (!inputs[b].empty()) std::memcpy(buffer.memory.get(), inputs[b].data(), buffer.bytes());
  }
  return sums;
}

std::string Operands::compare_near(const Run& run, const Run& reference, std::int64_t terms) {
  const std::vector<std::vector<float>> sums = magnitudes(reference);
  start_anew();
  run();
  const double factor = 4.0 * static_cast<double>(terms + 1) * 0x1p-24;
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const auto* got = static_cast<const float*>(buffers_[b].memory.get());
    const auto* wanted = reinterpret_cast<const float*>(buffers_[b].reference.data());
    for (std::size_t i = 0; i < sums[b].size(); ++i) {
      const double off = std::fabs(static_cast<double>(got[i]) - wanted[i]), bound = factor * sums[b][i] + 1e-30;
      if (off <= bound) continue;
      return fmt::format("operand {} at {} of {}: {} instead of {}, {:.3g} beyond the bound {:.3g}", b, i,
                         sums[b].size(), got[i], wanted[i], off, bound);
    }
  }
  return {};
}

}  // namespace octet::bench
