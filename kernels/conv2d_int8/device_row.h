// The functions that a device row of the integer rooms is made of. Included behind core/gpu/dialect.h by a .cu file
// that has refused(problem), run(problem, pointers, stream), layout_of(problem) and flipped_zero(problem).
#pragma once

#define OCTET_INT_CONV_DEVICE_ROW(name)                                                                  \
  const char* OCTET_GPU_WHY_NOT(name)(const IntConvProblem& p) { return refused(p); }                    \
  void OCTET_GPU_NAME(name)(const IntConvProblem& p, const IntConvPointers& x, const Context& context) { \
    run(p, x, context.stream);                                                                           \
  }                                                                                                      \
  std::size_t OCTET_GPU_PACKED_BYTES(name)(const IntConvProblem& p) { return layout_of(p).bytes; }       \
  void OCTET_GPU_PACK(name)(const IntConvProblem& p, const IntConvWeights& w, void* packed) {            \
    pack_columns(layout_of(p), sizeof(std::int8_t), w, flipped_zero(p), packed);                         \
  }
