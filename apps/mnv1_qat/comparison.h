// How far two executors' logits agree.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace octet::app {

/// Index of the largest logit of each row of N,classes; the lower class among equals.
std::vector<std::int64_t> classes_of(const Tensor& logits);

/// Sums over batches of two executors' logits.
struct LogitAgreement {
  std::int64_t pictures = 0, same_class = 0;
  bool bit_equal = true;
  double largest_difference = 0;
  /// Both f32 N,classes; throws Error when their shapes differ.
  void add(const Tensor& a, const Tensor& b);
  double classes_equal() const {
    return pictures > 0 ? static_cast<double>(same_class) / static_cast<double>(pictures) : 1;
  }
};

/// "12.3", "exact" for infinity, "-" for nothing at all.
std::string decibel_text(double db);

}  // namespace octet::app
