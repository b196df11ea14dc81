// Modules that several tests use.
#pragma once
#include <functional>
#include <utility>

#include "nn/layers.h"
#include "nn/transform.h"

namespace octet::test {

/// A module from a function.
class Lambda : public nn::Module {
 public:
  using Function = std::function<Variable(const Variable&)>;
  explicit Lambda(Function function, std::vector<std::shared_ptr<nn::Module>> parts = {})
      : function_(std::move(function)) {
    for (std::size_t i = 0; i < parts.size(); ++i) register_module("part" + std::to_string(i), parts[i]);
  }
  std::string kind() const override { return "Lambda"; }
  Variable forward(const Variable& src) override { return function_(src); }

 private:
  Function function_;
};

/// Doubles, counts its calls, holds a parameter that only shows up in lists.
class Doubling : public nn::Transform {
 public:
  Doubling() { register_parameter("alpha", Tensor::full({1}, 7)); }
  std::string kind() const override { return "Doubling"; }
  Variable apply(const Variable& src) override {
    ++calls;
    seen = src;
    return ops::add(src, src);
  }
  int calls = 0;
  int mode_changes = 0;
  Variable seen;

 protected:
  void on_mode_change() override { ++mode_changes; }
};

inline nn::Conv2dOptions conv_options(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1,
                                      bool bias = true, bool depthwise = false) {
  return {in, out, kernel, kernel, stride, kernel / 2, bias, depthwise};
}

}  // namespace octet::test
