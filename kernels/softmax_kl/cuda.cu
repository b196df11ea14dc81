#include "core/gpu/gpu.h"
#include "kernels/softmax_kl/softmax_kl.h"
#include "kernels/softmax_xent/cuda_pictures.h"

namespace octet::kernels {
namespace {

/// The softmax of a warp's picture, of logits divided by the temperature.
struct Softmax {
  const float* logits;
  double temperature, top, sum, log_sum;

  __device__ Softmax(const float* of, unsigned classes, double t, unsigned lane)
      : logits(of), temperature(t), top(top_of(of, classes, lane)), sum(0) {
    for (unsigned first = 0; first < classes; first += 32) {
      const unsigned lanes = classes - first < 32 ? classes - first : 32;
      sum = add_in_order(sum, lane < lanes ? portable::exp_of(relative(first + lane)) : 0.0, lanes);
    }
    log_sum = log_of_sum(sum);
  }
  __device__ double relative(unsigned j) const { return (logits[j] - top) / temperature; }
  __device__ double probability(unsigned j) const { return portable::exp_of(relative(j)) / sum; }
  __device__ double log_probability(unsigned j) const { return relative(j) - log_sum; }
};

/// A picture for each warp: a lane takes every 32nd class, sums go through the classes in order.
__global__ void forward(const float* all_logits, const float* all_teachers, float* all_differences, double* losses,
                        std::size_t pictures, unsigned classes, double temperature) {
  const std::size_t picture = static_cast<std::size_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (picture >= pictures) return;  // a whole warp
  const unsigned lane = threadIdx.x % 32;
  const Softmax student(all_logits + picture * classes, classes, temperature, lane),
      teacher(all_teachers + picture * classes, classes, temperature, lane);
  float* differences = all_differences + picture * classes;
  double loss = 0;
  for (unsigned first = 0; first < classes; first += 32) {
    const unsigned lanes = classes - first < 32 ? classes - first : 32, j = first + lane;
    double term = 0;
    if (lane < lanes) {
      const double t = teacher.probability(j);
      differences[j] = static_cast<float>(student.probability(j) - t);
      if (t != 0) term = t * (teacher.log_probability(j) - student.log_probability(j));
    }
    loss = add_in_order(loss, term, lanes);
  }
  if (lane == 0) losses[picture] = loss;
}

__global__ void backward(const float* differences, const float* d_loss, float* d_logits, std::size_t pictures,
                         std::size_t count, double temperature) {
  const double d = temperature * *d_loss / static_cast<double>(pictures);
  OCTET_GRID_LOOP(i, count) d_logits[i] = static_cast<float>(differences[i] * d);
}

const char* refused(const SoftmaxKlProblem& p) {
  return p.classes > 0x7fffffff || p.pictures > 0x7fffffff ? "more than 2^31 - 1 classes or pictures" : nullptr;
}
const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

}  // namespace

const char* OCTET_GPU_WHY_NOT(softmax_kl_fwd_f32)(const SoftmaxKlProblem& p) { return refused(p); }
void OCTET_GPU_NAME(softmax_kl_fwd_f32)(const SoftmaxKlProblem& p, const SoftmaxKlPointers& x, const Context& context) {
  const auto pictures = static_cast<std::size_t>(p.pictures);
  const std::size_t bytes = pictures * sizeof(double);
  double* losses = static_cast<double*>(gpu::scratch_acquire(bytes));
  OCTET_LAUNCH(forward, static_cast<unsigned>((pictures + kWarps - 1) / kWarps), kWarps * 32, context.stream,
               floats(x.logits), floats(x.teacher), floats(x.difference), losses, pictures,
               static_cast<unsigned>(p.classes), p.temperature);
  OCTET_LAUNCH(mean_loss, 1, 32, context.stream, losses, floats(x.loss), pictures, p.temperature * p.temperature);
  gpu::scratch_release(losses, bytes);
}

const char* OCTET_GPU_WHY_NOT(softmax_kl_bwd_f32)(const SoftmaxKlProblem& p) { return refused(p); }
void OCTET_GPU_NAME(softmax_kl_bwd_f32)(const SoftmaxKlProblem& p, const SoftmaxKlPointers& x, const Context& context) {
  const auto count = static_cast<std::size_t>(p.pictures * p.classes);
  OCTET_LAUNCH(backward, gpu::loop_blocks(count), gpu::kLoopThreads, context.stream, floats(x.difference),
               floats(x.d_loss), floats(x.d_logits), static_cast<std::size_t>(p.pictures), count, p.temperature);
}

}  // namespace octet::kernels
