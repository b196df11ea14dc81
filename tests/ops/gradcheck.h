// Gradients against central differences, in double.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/random.h"

namespace octet::test {

/// Random normal values that keep at least `gap` away from every number in `kinks`: a difference must not step over
/// one.
Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64, double scale = 1.0,
                     const std::vector<double>& kinks = {}, double gap = 1e-3);

using Function = std::function<Variable(const std::vector<Variable>&)>;

/// Compares d(Σ r·f(inputs))/d(input), r random, with central differences (step 1e-6) for every element of every input
/// that needs a gradient: |a − n| <= 1e-5 + 1e-3·|n|. Returns what disagrees, empty when nothing does. f must be pure.
std::string gradient_error(const Function& f, std::vector<Variable> inputs);

/// Runs f in f64 and, from the same numbers rounded to f32, in f32; compares result and gradients:
/// |a − b| <= tolerance·(1 + max|b| of the tensor). The inputs are f64 leaves.
std::string f32_error(const Function& f, const std::vector<Variable>& inputs, double tolerance = 2e-5);

/// What f throws, or "no error".
std::string error_of(const std::function<void()>& f);

}  // namespace octet::test
