#include "apps/mnv1_qat/guesses.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "ops/ops.h"

namespace octet::app {

std::vector<std::vector<Guess>> likeliest(const Tensor& logits, const std::vector<std::string>& class_names,
                                          std::size_t most) {
  OCTET_CHECK(logits.shape().rank() == 2 && logits.shape()[1] == static_cast<std::int64_t>(class_names.size()),
              "predict", "logits {} for {} classes", logits.shape().str(), class_names.size());
  const Tensor probabilities = ops::softmax(logits);
  std::vector<std::vector<Guess>> rows;
  for (std::int64_t i = 0; i < logits.shape()[0]; ++i) {
    const float* row = probabilities.data<float>() + i * logits.shape()[1];
    std::vector<std::size_t> order(class_names.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row[a] > row[b]; });
    std::vector<Guess>& best = rows.emplace_back();
    for (std::size_t k = 0; k < std::min(most, order.size()); ++k)
      best.push_back({class_names[order[k]], row[order[k]]});
  }
  return rows;
}

}  // namespace octet::app
