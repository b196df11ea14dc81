// Packed panels for rows that multiply by vpmaddubsw: the groups of a panel in which no pair of products can saturate
// s16 come first, the others after them. Behind the packed block (packed.h) stands, for each panel, the number of the
// first kind and then, for every group in its new order, where under the first pixel it begins: s32 [panels][1 +
// groups].
#pragma once
#include "kernels/conv2d_int8/packed.h"

namespace octet::kernels {

/// IntConvProblem::narrow of a convolution's weights: of their groups, 16 filters by four products of the depth, at
/// most a quarter hold a pair of products that may leave s16.
bool narrow_weights(const ConvGeometry& geometry, const std::int8_t* weight);

/// Do the places of an order fit its 32 bits?
bool places_fit(const ConvGeometry& geometry);

/// Bytes of the packed block with the order behind it.
std::size_t sorted_bytes(const PackedLayout& layout);
/// Sorts what pack_columns() wrote (s8 weights, groups of four); segment_stride: codes from a segment under a pixel to
/// the next. Without segments a last group that is not whole stays last.
void sort_groups(const PackedLayout& layout, std::int64_t segment_stride, void* packed);
/// The order of a panel.
const std::int32_t* group_order(const PackedLayout& layout, const void* packed, std::int64_t panel);

}  // namespace octet::kernels
