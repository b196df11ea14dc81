#include "apps/mnv1_qat/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace octet::app {

std::vector<std::int64_t> classes_of(const Tensor& logits) {
  const std::int64_t classes = logits.shape()[1];
  std::vector<std::int64_t> best;
  for (std::int64_t i = 0; i < logits.shape()[0]; ++i) {
    const float* row = logits.data<float>() + i * classes;
    best.push_back(std::max_element(row, row + classes) - row);
  }
  return best;
}

void LogitAgreement::add(const Tensor& a, const Tensor& b) {
  OCTET_CHECK(a.shape() == b.shape(), "compare", "logits {} and {} are not of one net", a.shape().str(),
              b.shape().str());
  const auto of_a = classes_of(a), of_b = classes_of(b);
  for (std::size_t i = 0; i < of_a.size(); ++i) same_class += of_a[i] == of_b[i];
  pictures += a.shape()[0];
  bit_equal = bit_equal && std::memcmp(a.raw(), b.raw(), a.nbytes()) == 0;
  for (std::int64_t i = 0; i < a.numel(); ++i)
    // Written so that NaN is not passed over.
    if (const double apart = std::fabs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]);
        !(apart <= largest_difference))
      largest_difference = std::isnan(largest_difference) ? largest_difference : apart;
}

std::string decibel_text(double db) { return std::isinf(db) ? (db > 0 ? "exact" : "-") : fmt::format("{:.1f}", db); }

}  // namespace octet::app
