#include "core/gpu/gpu.h"
#include "kernels/softmax_xent/cuda_pictures.h"
#include "kernels/softmax_xent/softmax_xent.h"

namespace octet::kernels {
namespace {

/// A picture for each warp: a lane takes every 32nd class, the sums go through the classes in order.
__global__ void forward(const float* all_logits, const int* labels, float* all_probabilities, double* losses,
                        std::size_t pictures, unsigned classes, double smoothing) {
  const std::size_t picture = static_cast<std::size_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (picture >= pictures) return;  // a whole warp
  const unsigned lane = threadIdx.x % 32;
  const float* logits = all_logits + picture * classes;
  float* probabilities = all_probabilities + picture * classes;
  const double top = top_of(logits, classes, lane);
  double sum = 0, relative_sum = 0;
  for (unsigned first = 0; first < classes; first += 32) {
    const unsigned lanes = classes - first < 32 ? classes - first : 32;
    const double relative = lane < lanes ? logits[first + lane] - top : 0.0;
    sum = add_in_order(sum, portable::exp_of(relative), lanes);
    if (smoothing != 0) relative_sum = add_in_order(relative_sum, relative, lanes);
  }
  for (unsigned j = lane; j < classes; j += 32)
    probabilities[j] = static_cast<float>(portable::exp_of(logits[j] - top) / sum);
  if (lane != 0) return;
  double loss = log_of_sum(sum) - (1 - smoothing) * (logits[labels[picture]] - top);
  if (smoothing != 0) loss -= smoothing / static_cast<double>(classes) * relative_sum;
  losses[picture] = loss;
}

__global__ void backward(const float* probabilities, const int* labels, const float* d_loss, float* d_logits,
                         std::size_t pictures, unsigned classes, double smoothing) {
  const double d = *d_loss, other = smoothing / static_cast<double>(classes);
  OCTET_GRID_LOOP(i, pictures * classes) {
    const std::size_t picture = i / classes;
    const double target = other + (static_cast<int>(i - picture * classes) == labels[picture] ? 1 - smoothing : 0.0);
    d_logits[i] = static_cast<float>((probabilities[i] - target) * d / static_cast<double>(pictures));
  }
}

const char* refused(const SoftmaxXentProblem& p) {
  return p.classes > 0x7fffffff || p.pictures > 0x7fffffff ? "more than 2^31 - 1 classes or pictures" : nullptr;
}
const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

}  // namespace

const char* OCTET_GPU_WHY_NOT(softmax_xent_fwd_f32)(const SoftmaxXentProblem& p) { return refused(p); }
void OCTET_GPU_NAME(softmax_xent_fwd_f32)(const SoftmaxXentProblem& p, const SoftmaxXentPointers& x,
                                          const Context& context) {
  const auto pictures = static_cast<std::size_t>(p.pictures);
  const std::size_t bytes = pictures * sizeof(double);
  double* losses = static_cast<double*>(gpu::scratch_acquire(bytes));
  OCTET_LAUNCH(forward, static_cast<unsigned>((pictures + kWarps - 1) / kWarps), kWarps * 32, context.stream,
               floats(x.logits), x.labels, floats(x.probabilities), losses, pictures, static_cast<unsigned>(p.classes),
               p.label_smoothing);
  OCTET_LAUNCH(mean_loss, 1, 32, context.stream, losses, floats(x.loss), pictures, 1.0);
  gpu::scratch_release(losses, bytes);
}

const char* OCTET_GPU_WHY_NOT(softmax_xent_bwd_f32)(const SoftmaxXentProblem& p) { return refused(p); }
void OCTET_GPU_NAME(softmax_xent_bwd_f32)(const SoftmaxXentProblem& p, const SoftmaxXentPointers& x,
                                          const Context& context) {
  const auto pictures = static_cast<std::size_t>(p.pictures);
  OCTET_LAUNCH(backward, gpu::loop_blocks(pictures * static_cast<std::size_t>(p.classes)), gpu::kLoopThreads,
               context.stream, floats(x.probabilities), x.labels, floats(x.d_loss), floats(x.d_logits), pictures,
               static_cast<unsigned>(p.classes), p.label_smoothing);
}

}  // namespace octet::kernels
