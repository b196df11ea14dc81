// Tasks of convolutions, dense and depthwise, in f32 and over codes; linear's integer rows are conv2d_int8's.
#pragma once
#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::bench {

/// What an integer convolution needs before packing.
struct IntConvOperands {
  const void* src = nullptr;
  void* dst = nullptr;
  kernels::IntConvWeights weights;
};
/// Packs now, so that only the convolution is timed, as in the engine.
std::function<void()> prepared(const kernels::IntConvRow& row, const kernels::IntConvProblem& problem,
                               const IntConvOperands& pointers);

using FloatConvTask = Task<kernels::ConvGeometry, kernels::Conv2dPointers>;
using IntConvTask = Task<kernels::IntConvProblem, IntConvOperands>;

/// Passes of a float convolution.
enum class ConvPass { forward, backward_data, backward_weight };

/// `pass` is the inventory's name of it.
FloatConvTask float_conv_task(const std::string& room, const char* pass, ConvPass which, const Layer& layer);
/// Forward over codes of dtype `src`; codes come out with ReLU, or f32 for the logits of a linear. The weights reach up
/// to ±largest_weight.
IntConvTask int_conv_task(const std::string& room, const char* pass, const Layer& layer, DType src, DType dst,
                          int largest_weight = 127);

/// Multiply-adds of a layer. A depthwise layer's taps outside the picture are skipped by its contract, so not counted.
double conv_macs(const Layer& layer);
/// The elements that a layer reads and writes once.
struct Extents {
  std::int64_t src, weight, dst;
};
Extents extents_of(const Layer& layer);

}  // namespace octet::bench
