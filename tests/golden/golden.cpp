#include "tests/golden/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "nn/layers.h"

namespace octet::test {

const TensorFile& golden(const std::string& name) {
  static std::map<std::string, TensorFile> files;
  auto found = files.find(name);
  if (found == files.end()) {
    const std::string path = std::string(OCTET_SOURCE_DIR) + "/tests/golden/" + name;
    found = files.emplace(name, read_safetensors(path)).first;
  }
  return found->second;
}

double distance(const Tensor& made, const Tensor& expected) {
  const double far = std::numeric_limits<double>::infinity();
  if (!(made.shape() == expected.shape())) return far;
  double worst = 0, largest = 1e-30;
  for (std::int64_t i = 0; i < made.numel(); ++i) {
    const double gap = std::fabs(made.at(i) - expected.at(i));
    if (!(gap == gap)) return far;
    worst = std::max(worst, gap);
    largest = std::max(largest, std::fabs(expected.at(i)));
  }
  return worst / largest;
}

void expect_golden(const Tensor& made, const TensorFile& file, const std::string& key, double tolerance) {
  const Tensor& expected = file.get(key);
  EXPECT_TRUE(made.shape() == expected.shape())
      << key << ": " << made.shape().str() << ", stored " << expected.shape().str();
  EXPECT_LE(distance(made, expected), tolerance) << key;
}

void expect_same(const Tensor& made, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(made.numel(), expected.numel()) << what;
  std::int64_t differing = 0, first = -1;
  for (std::int64_t i = 0; i < made.numel(); ++i) {
    if (made.at(i) == expected.at(i)) continue;
    if (first < 0) first = i;
    ++differing;
  }
  EXPECT_EQ(differing, 0) << what << ": first at " << first << ", " << made.at(std::max<std::int64_t>(first, 0))
                          << " instead of " << expected.at(std::max<std::int64_t>(first, 0));
}

nn::Module::NamedTensors under(const TensorFile& file, const std::string& prefix) {
  nn::Module::NamedTensors found;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) found.emplace_back(name.substr(prefix.size()), tensor);
  }
  return found;
}

Tensor normalised(const Tensor& pictures) {
  Tensor images(pictures.shape());
  const std::uint8_t* from = pictures.data<std::uint8_t>();
  float* to = images.data<float>();
  for (std::int64_t i = 0; i < images.numel(); ++i) to[i] = (static_cast<float>(from[i]) - 127.5f) / 127.5f;
  return images;
}

void make_double(nn::Module& model) {
  for (auto& [name, parameter] : model.named_parameters()) parameter.value() = parameter.value().to(DType::f64);
  for (auto& [name, module] : model.named_modules()) {
    if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(module)) {
      norm->state.running_mean = norm->state.running_mean.to(DType::f64);
      norm->state.running_var = norm->state.running_var.to(DType::f64);
    }
  }
}

}  // namespace octet::test
