#include "quant/quantizers/floors.h"

#include "core/quant_params.h"
#include "kernels/quantizer/quantizer.h"

namespace octet::quant {

void keep_at_least(const Tensor& values, const Tensor& floors) {
  Tensor to = values;  // the same memory
  kernels::QuantizerProblem problem;
  problem.count = to.numel(), problem.least = static_cast<double>(kMinScale);
  kernels::QuantizerPointers pointers;
  pointers.src = to.raw(), pointers.dst = to.raw();
  pointers.floor = floors.defined() ? static_cast<const float*>(floors.raw()) : nullptr;
  kernels::dispatch(kernels::quantizer_rows(), "at_least", name_of(to.dtype()), problem, pointers,
                    kernels::context_of(to.device()));
}

}  // namespace octet::quant
