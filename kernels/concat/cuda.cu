#include "core/gpu/dialect.h"
#include "kernels/concat/concat.h"

namespace octet::kernels {
namespace {

__global__ void copy_runs(std::size_t count, std::size_t run, const float* from, std::size_t from_width, float* to,
                          std::size_t to_width) {
  OCTET_GRID_LOOP(i, count) {
    const std::size_t row = i / run, column = i - row * run;
    to[row * to_width + column] = from[row * from_width + column];
  }
}

void launch(const ConcatProblem& p, const float* from, std::int64_t from_width, float* to, std::int64_t to_width,
            void* stream) {
  const auto count = static_cast<std::size_t>(p.rows * p.part_width);
  OCTET_LAUNCH(copy_runs, gpu::loop_blocks(count), gpu::kLoopThreads, stream, count,
               static_cast<std::size_t>(p.part_width), from, static_cast<std::size_t>(from_width), to,
               static_cast<std::size_t>(to_width));
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(concat_put_f32)(const ConcatProblem&) { return nullptr; }
void OCTET_GPU_NAME(concat_put_f32)(const ConcatProblem& p, const ConcatPointers& x, const Context& context) {
  launch(p, static_cast<const float*>(x.from), p.part_width, static_cast<float*>(x.to) + p.at, p.width, context.stream);
}
const char* OCTET_GPU_WHY_NOT(concat_take_f32)(const ConcatProblem&) { return nullptr; }
void OCTET_GPU_NAME(concat_take_f32)(const ConcatProblem& p, const ConcatPointers& x, const Context& context) {
  launch(p, static_cast<const float*>(x.from) + p.at, p.width, static_cast<float*>(x.to), p.part_width, context.stream);
}

}  // namespace octet::kernels
