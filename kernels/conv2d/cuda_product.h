// What a launch of the device's matrix product needs besides its operands, and how its sums are stored.
#pragma once
#include "kernels/activation.h"
#include "kernels/conv2d/cuda_operands.h"

namespace octet::kernels {
namespace {

/// What a launch of the product needs besides its operands.
struct Product {
  float* to;          ///< of each chunk rows · cols sums
  const float* bias;  ///< or null
  int rows, cols, depth, chunk_depth, col_tiles;
  bool quads;                         ///< rows of `to` are stored by float4
  Activation act = Activation::none;  ///< applied last
  RowPlaces places = {};
};

/// Where a product is written: row after row, or row by row to places of their own.
struct Result {
  float* to;
  RowPlaces places = {};
  Result(float* first) : to(first) {}
  Result(float* first, const RowPlaces& rows) : to(first), places(rows) {}
};

}  // namespace
}  // namespace octet::kernels
