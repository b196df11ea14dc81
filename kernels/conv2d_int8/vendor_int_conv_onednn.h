// The oneDNN rows of conv2d_int8 and dwconv2d_int8: oneDNN sums the products to s32, our store does the rest, so that
// the bits are ours wherever the sums are exact.
#pragma once
#include "kernels/conv2d_int8/conv2d_int8.h"

namespace octet::kernels::onednn {

/// Why oneDNN's sums may be wrong on this processor; null when they are exact.
const char* inexact_here(const IntConvProblem& problem);

const char* int_conv_why_not(const IntConvProblem& problem, bool depthwise);
std::size_t int_conv_packed_bytes(const IntConvProblem& problem, bool depthwise);
void int_conv_pack(const IntConvProblem& problem, bool depthwise, const IntConvWeights& weights, void* packed);
void int_conv_run(const IntConvProblem& problem, bool depthwise, const IntConvPointers& pointers);

}  // namespace octet::kernels::onednn
