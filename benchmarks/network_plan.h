// --network: which passes a training step of MobileNetV1, and the engine, run for each layer.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"

namespace octet::bench {

/// fused: batch norm split into the convolutions (kernels/conv_bn.h). decomposed: one pass per op.
enum class Path { fused, decomposed };

enum class Kind { stem, depthwise, pointwise, fc, other };
const char* name_of(Kind);

/// Which of them a layer of network() is.
Kind kind_of(const Layer& layer);

enum class Stage { forward, backward, update, qat_forward, qat_backward, bf16_forward, bf16_backward, int8_forward };
constexpr int kStages = 8;
/// "forward", … in csv and json they name the section.
const char* name_of(Stage);

/// One pass of one layer (or of several equal layers) with the row that selection runs.
struct Part {
  Stage stage = Stage::forward;
  Kind kind = Kind::other;
  std::string layer;  ///< "pw7-11", "head", "all weights"
  int times = 1;
  const Entry* entry = nullptr;
  const Entry* fp32 = nullptr;  ///< of QAT and int8: the same in fp32
};

/// What to plan: a training step, the convolutions of a QAT step, the engine's forward, the 1x1 convolutions in bf16.
struct Wanted {
  bool fp32 = true, qat = true, int8 = true, bf16 = false;
};
/// All parts in the order of a step. Throws Error when the suite lacks a pass. QAT needs the fused path.
std::vector<Part> plan_network(Suite& suite, Path path, const Wanted& wanted);

/// What has to be measured for it, each entry once, in the suite's order.
std::vector<Entry*> entries_of(const std::vector<Part>& parts, Suite& suite);

/// The least work of a whole training step with batch norm split into the convolutions: their operations, and the bytes
/// of reading source, weight and gradients and writing raw outputs, gradients and weights once; Momentum's five
/// tensors.
Work step_work(std::int64_t batch);
/// Of one forward pass: operations of the convolutions, bytes of their operands, each once.
Work forward_work(std::int64_t batch);

}  // namespace octet::bench
