#include "core/gpu/dialect.h"
#include "kernels/round_shift/round_shift.h"

namespace octet::kernels {
namespace {

__global__ void round_shifts(RoundShiftProblem p, RoundShiftPointers x) {
  OCTET_GRID_LOOP(i, static_cast<std::size_t>(p.c)) round_one_shift<float>(p, x, static_cast<std::int64_t>(i));
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(round_shift_f32)(const RoundShiftProblem&) { return nullptr; }
void OCTET_GPU_NAME(round_shift_f32)(const RoundShiftProblem& p, const RoundShiftPointers& x, const Context& context) {
  OCTET_LAUNCH(round_shifts, gpu::loop_blocks(static_cast<std::size_t>(p.c)), gpu::kLoopThreads, context.stream, p, x);
}

}  // namespace octet::kernels
