// What a net says of pictures, in words.
#pragma once
#include <string>
#include <vector>

#include "core/tensor.h"

namespace octet::app {

struct Guess {
  std::string name;  ///< of a class
  double probability = 0;
};

/// For each row of logits N,classes its `most` likeliest classes, the likeliest first, the lower class among equals.
std::vector<std::vector<Guess>> likeliest(const Tensor& logits, const std::vector<std::string>& class_names,
                                          std::size_t most);

}  // namespace octet::app
