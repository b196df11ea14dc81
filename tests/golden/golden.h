// The stored values and how they are compared. README.md says what each key holds.
#pragma once
#include <string>

#include "core/autograd.h"
#include "core/safetensors.h"
#include "nn/module.h"

namespace octet::test {

/// tests/golden/<name>, read once per test program.
const TensorFile& golden(const std::string& name);

/// Largest |made − expected| over largest |expected| (over 1e-30 when all of it is zero); infinity when shapes differ
/// or `made` holds a NaN.
double distance(const Tensor& made, const Tensor& expected);

/// Expects distance(made, file.get(key)) <= tolerance.
void expect_golden(const Tensor& made, const TensorFile& file, const std::string& key, double tolerance);
/// Expects equal values, bit for bit but for the sign of a zero.
void expect_same(const Tensor& made, const Tensor& expected, const std::string& what);

/// The tensors under `prefix`, without it.
nn::Module::NamedTensors under(const TensorFile& file, const std::string& prefix);

/// Picture bytes → (x − 127.5) / 127.5.
Tensor normalised(const Tensor& pictures);

/// Turns every parameter and running statistic into f64, so that a whole model runs on the f64 reference kernels.
void make_double(nn::Module& model);

}  // namespace octet::test
