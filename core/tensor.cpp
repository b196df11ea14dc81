#include "core/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/allocator.h"
#include "core/gpu/gpu.h"

namespace octet {
namespace {

double to_double(BFloat16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }
template <class T>
double to_double(T x) {
  return static_cast<double>(x);
}

BFloat16 to_bf16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return {static_cast<std::uint16_t>((bits >> 16) | 0x40)};  // stays a NaN
  return {static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

/// Integers saturate and take NaN as 0, since the plain cast is undefined there.
template <class T>
T from_double(double x) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bf16(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<T>) {
    if (x != x) return 0;
    if (x <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    if (x >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
    return static_cast<T>(x);
  } else {
    return static_cast<T>(x);
  }
}

/// Calls f with a value of the C++ type behind `dtype`.
template <class F>
decltype(auto) with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::s8:
      return f(std::int8_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::s32:
      return f(std::int32_t{});
  }
  fail("tensor", fmt::format("no dtype has number {}", static_cast<int>(dtype)));
}

}  // namespace

Tensor::Tensor(const Shape& shape, DType dtype, Device device) : shape_(shape), dtype_(dtype), device_(device) {
  owner_ = device == Device::cpu ? allocate(nbytes()) : gpu::allocate(nbytes());
  memory_ = owner_.get();
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t(shape, dtype, device);
  if (device == Device::cuda)
    gpu::zero(t.memory_, t.nbytes());
  else
    std::memset(t.memory_, 0, t.nbytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor t(shape, dtype, device);
  t.fill(value);
  return t;
}

Tensor Tensor::wrap(const Shape& shape, DType dtype, std::shared_ptr<void> owner, void* memory) {
  OCTET_CHECK(memory != nullptr, "tensor", "cannot wrap a null pointer as {} {}", name_of(dtype), shape.str());
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.owner_ = std::move(owner);
  t.memory_ = memory;
  return t;
}

void Tensor::require(DType wanted) const {
  OCTET_CHECK(defined(), "tensor", "an undefined tensor has no data");
  OCTET_CHECK(dtype_ == wanted, "tensor", "{} data asked of a {} tensor of shape {}", name_of(wanted), name_of(dtype_),
              shape_.str());
  OCTET_CHECK(device_ == Device::cpu, "tensor",
              "the host cannot reach a {} {} tensor on the device ---> HINT to(Device::cpu) copies it", shape_.str(),
              name_of(dtype_));
}

double Tensor::item() const {
  OCTET_CHECK(defined() && numel() == 1, "tensor", "item() needs exactly one element, shape is {}", shape_.str());
  return at(0);
}

double Tensor::at(std::int64_t i) const {
  OCTET_CHECK(defined(), "tensor", "an undefined tensor has no elements");
  OCTET_CHECK(i >= 0 && i < numel(), "tensor", "element {} of {}, which has {}", i, shape_.str(), numel());
  if (device_ == Device::cuda) return slice_flat(i).to(Device::cpu).at(0);
  return with_type(dtype_, [&](auto type) { return to_double(static_cast<const decltype(type)*>(memory_)[i]); });
}

Tensor Tensor::reshape(const Shape& shape) const {
  OCTET_CHECK(defined(), "tensor", "an undefined tensor cannot be reshaped");
  OCTET_CHECK(shape.numel() == numel(), "tensor", "{} cannot be reshaped to {}: {} and {} elements", shape_.str(),
              shape.str(), numel(), shape.numel());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  OCTET_CHECK(defined() && shape_.rank() >= 1, "tensor", "a tensor without axes cannot be sliced");
  OCTET_CHECK(0 <= begin && begin <= end && end <= shape_[0], "tensor", "rows [{}, {}) of {}", begin, end,
              shape_.str());
  Tensor t = *this;
  t.shape_ = shape_.with(0, end - begin);
  const std::int64_t row = shape_[0] == 0 ? 0 : numel() / shape_[0];
  t.memory_ = static_cast<char*>(memory_) + static_cast<std::size_t>(begin * row) * size_of(dtype_);
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t(shape_, dtype_, device_);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (!defined() || device == device_) return *this;
  Tensor t(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::slice_flat(std::int64_t i) const {
  Tensor t = *this;
  t.shape_ = {1};
  t.memory_ = static_cast<char*>(memory_) + static_cast<std::size_t>(i) * size_of(dtype_);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  OCTET_CHECK(defined(), "tensor", "an undefined tensor cannot be converted to {}", name_of(dtype));
  if (dtype == dtype_) return clone();
  if (device_ == Device::cuda) return to(Device::cpu).to(dtype).to(Device::cuda);
  Tensor t(shape_, dtype);
  const std::int64_t n = numel();
  with_type(dtype_, [&](auto from_type) {
    with_type(dtype, [&](auto to_type) {
      const auto* from = static_cast<const decltype(from_type)*>(memory_);
      auto* to = static_cast<decltype(to_type)*>(t.memory_);
      for (std::int64_t i = 0; i < n; ++i) to[i] = from_double<decltype(to_type)>(to_double(from[i]));
    });
  });
  return t;
}

void Tensor::copy_from(const Tensor& src) {
  OCTET_CHECK(defined() && src.defined(), "tensor", "copy_from needs two defined tensors");
  OCTET_CHECK(dtype_ == src.dtype_ && shape_ == src.shape_, "tensor", "{} {} cannot be copied into {} {}",
              name_of(src.dtype_), src.shape_.str(), name_of(dtype_), shape_.str());
  if (device_ == Device::cpu && src.device_ == Device::cpu)
    std::memmove(memory_, src.memory_, nbytes());
  else if (src.device_ == Device::cpu)
    gpu::copy_from_host(memory_, src.memory_, nbytes());
  else if (device_ == Device::cpu)
    gpu::copy_to_host(memory_, src.memory_, nbytes());
  else
    gpu::copy(memory_, src.memory_, nbytes());
}

void Tensor::fill(double value) {
  OCTET_CHECK(defined(), "tensor", "an undefined tensor cannot be filled");
  if (device_ == Device::cuda) return fill_on_device(value);
  const std::int64_t n = numel();
  with_type(dtype_, [&](auto type) {
    auto* to = static_cast<decltype(type)*>(memory_);
    const auto converted = from_double<decltype(type)>(value);
    for (std::int64_t i = 0; i < n; ++i) to[i] = converted;
  });
}

void Tensor::fill_on_device(double value) {
  const auto n = static_cast<std::size_t>(numel());
  if (dtype_ == DType::f32) return gpu::fill(static_cast<float*>(memory_), static_cast<float>(value), n);
  if (dtype_ == DType::s32) return gpu::fill(static_cast<int*>(memory_), from_double<std::int32_t>(value), n);
  copy_from(full(shape_, value, dtype_));
}

}  // namespace octet
