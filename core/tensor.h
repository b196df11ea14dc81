// Tensor: a handle to contiguous memory with a dtype and a shape. Copying shares; clone() copies.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/shape.h"

namespace octet {

/// Always contiguous, outermost axis first (activations N,H,W,C; weights K,R,S,C). Copies share the memory.
class Tensor {
 public:
  /// Undefined: defined() is false and nothing else may be called.
  Tensor() = default;
  /// Unspecified contents.
  explicit Tensor(const Shape& shape, DType dtype = DType::f32, Device device = Device::cpu);

  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = Device::cpu);
  /// Every element `value`, converted to dtype.
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32, Device device = Device::cpu);
  /// Copies `values`; throws Error when their number is not shape.numel().
  template <class T>
  static Tensor from(const Shape& shape, std::span<const T> values);
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values) {
    return from(shape, std::span<const T>(values));
  }
  /// Wraps foreign memory kept alive by `owner` (for example a file mapping).
  static Tensor wrap(const Shape& shape, DType dtype, std::shared_ptr<void> owner, void* memory);

  bool defined() const { return memory_ != nullptr || owner_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  std::int64_t numel() const { return shape_.numel(); }
  /// Does no other tensor share this memory? Then writing into it disturbs nobody.
  bool sole_owner() const { return owner_.use_count() == 1; }
  std::size_t nbytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype_); }

  void* raw() { return memory_; }
  const void* raw() const { return memory_; }
  /// Throws Error when T is not the dtype, or the memory is not the host's.
  template <class T>
  T* data() {
    require(dtype_of<T>);
    return static_cast<T*>(memory_);
  }
  template <class T>
  const T* data() const {
    require(dtype_of<T>);
    return static_cast<const T*>(memory_);
  }
  template <class T>
  std::span<T> span() {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  /// The only element of a one-element tensor, converted to double.
  double item() const;
  /// Element i of the flattened tensor, converted to double; waits for a device. For tests and reports, not for loops that matter.
  double at(std::int64_t i) const;

  /// The same memory under another shape; throws Error when the element counts differ.
  Tensor reshape(const Shape& shape) const;
  /// Rows [begin, end) of the outermost axis, sharing memory.
  Tensor slice(std::int64_t begin, std::int64_t end) const;
  Tensor clone() const;
  /// This tensor if it lies there, else a copy there.
  Tensor to(Device device) const;
  /// A copy converted to `dtype` (no quantization: values are cast; float to integer truncates towards zero).
  Tensor to(DType dtype) const;
  /// Copies `src`, of any device, into this memory; throws Error when dtype or shape differ.
  void copy_from(const Tensor& src);
  void fill(double value);

 private:
  void require(DType wanted) const;
  Tensor slice_flat(std::int64_t i) const;
  void fill_on_device(double value);
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
  std::shared_ptr<void> owner_;
  void* memory_ = nullptr;
};

template <class T>
Tensor Tensor::from(const Shape& shape, std::span<const T> values) {
  OCTET_CHECK(shape.numel() == static_cast<std::int64_t>(values.size()), "tensor", "{} values cannot fill shape {}",
              values.size(), shape.str());
  Tensor t(shape, dtype_of<T>);
  T* to = t.data<T>();
  for (std::size_t i = 0; i < values.size(); ++i) to[i] = values[i];
  return t;
}

}  // namespace octet
