// cuDNN's rows, for comparison: f32 by FMA (no TF32), N,H,W,C. Descriptors and the algorithm that cuDNN's heuristics
// prefer are made once for each (pass, geometry).
#include <cudnn.h>

#include <map>
#include <mutex>
#include <string>

#include "core/error.h"
#include "core/gpu/gpu.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/gpu_index.h"

namespace octet::kernels {
namespace {

void check(cudnnStatus_t status, const char* what) {
  OCTET_CHECK(status == CUDNN_STATUS_SUCCESS, "cudnn", "{}: {}", what, cudnnGetErrorString(status));
}

/// A descriptor that is destroyed with its owner.
template <class T, cudnnStatus_t (*kCreate)(T*), cudnnStatus_t (*kDestroy)(T)>
class Owned {
 public:
  Owned() { check(kCreate(&made_), "a descriptor"); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { kDestroy(made_); }
  operator T() const { return made_; }

 private:
  T made_ = nullptr;
};
using Handle = Owned<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using Tensor = Owned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using Filter = Owned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Convolution =
    Owned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor>;

std::mutex plans_mutex;  // held during a call: the handle serves one at a time

cudnnHandle_t handle() {
  static const Handle made;
  return made;
}

int i32(std::int64_t x) { return static_cast<int>(x); }

void set(const Tensor& tensor, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  check(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, i32(n), i32(c), i32(h), i32(w)),
        "a tensor");
}

enum class Pass { forward, backward_data, backward_weight };

/// An algorithm of cuDNN's list, -1 when it has none for the problem.
struct Algorithm {
  int number = -1;
  std::size_t workspace = 0;
};
/// The first one listed for FMA, else for the default (which the descriptor then holds to FMA); none of the tensor
/// units.
template <class Performance, class Ask>
Algorithm first_of(Ask ask) {
  constexpr int kMost = 10;
  Performance found[kMost];
  int count = 0;
  check(ask(kMost, &count, found), "choosing an algorithm");
  for (const cudnnMathType_t math : {CUDNN_FMA_MATH, CUDNN_DEFAULT_MATH})
    for (int i = 0; i < count; ++i)
      if (found[i].status == CUDNN_STATUS_SUCCESS && found[i].mathType == math)
        return {static_cast<int>(found[i].algo), found[i].memory};
  return {};
}

struct Plan {
  Tensor src, dst, bias;
  Filter weight;
  Convolution conv;
  Algorithm algorithm;

  Plan(Pass pass, const ConvGeometry& g) {
    set(src, g.n, g.h, g.w, g.c);
    set(dst, g.n, g.out_h(), g.out_w(), g.k);
    set(bias, 1, 1, 1, g.k);
    check(
        cudnnSetFilter4dDescriptor(weight, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, i32(g.k), i32(g.c), i32(g.r), i32(g.s)),
        "a filter");
    check(cudnnSetConvolution2dDescriptor(conv, i32(g.pad_h), i32(g.pad_w), i32(g.stride_h), i32(g.stride_w), 1, 1,
                                          CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
          "a convolution");
    check(cudnnSetConvolutionMathType(conv, CUDNN_FMA_MATH), "a convolution");
    algorithm = choose(pass);
  }

 private:
  Algorithm choose(Pass pass) const {
    if (pass == Pass::forward)
      return first_of<cudnnConvolutionFwdAlgoPerf_t>(
          [&](auto... to) { return cudnnGetConvolutionForwardAlgorithm_v7(handle(), src, weight, conv, dst, to...); });
    if (pass == Pass::backward_data)
      return first_of<cudnnConvolutionBwdDataAlgoPerf_t>([&](auto... to) {
        return cudnnGetConvolutionBackwardDataAlgorithm_v7(handle(), weight, dst, conv, src, to...);
      });
    return first_of<cudnnConvolutionBwdFilterAlgoPerf_t>([&](auto... to) {
      return cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle(), src, dst, conv, weight, to...);
    });
  }
};

/// The plan of (pass, geometry), made on first use; the caller holds plans_mutex.
const Plan& plan_of(Pass pass, const ConvGeometry& g) {
  static std::map<std::string, Plan> plans;
  return plans.try_emplace(fmt::format("{} {}", static_cast<int>(pass), g.str()), pass, g).first->second;
}

const char* why_not(Pass pass, const ConvGeometry& g) {
  if (gpu::kind() != gpu::Kind::cuda) return "there is no CUDA device";
  if (g.out_pixels() == 0) return "there are no pictures";
  if (const char* reason = too_large_for_device(g)) return reason;
  const std::lock_guard lock(plans_mutex);
  return plan_of(pass, g).algorithm.number < 0 ? "cuDNN has no f32 algorithm for it" : nullptr;
}

/// f(plan, workspace) on the context's stream.
template <class F>
void with_plan(Pass pass, const ConvGeometry& g, const Context& context, F f) {
  const std::lock_guard lock(plans_mutex);
  const Plan& plan = plan_of(pass, g);
  check(cudnnSetStream(handle(), static_cast<cudaStream_t>(context.stream)), "taking the stream");
  const std::size_t bytes = plan.algorithm.workspace;
  void* workspace = bytes == 0 ? nullptr : gpu::scratch_acquire(bytes);
  f(plan, workspace);
  if (workspace != nullptr) gpu::scratch_release(workspace, bytes);
}

constexpr float kOne = 1, kZero = 0;

void forward(const ConvGeometry& g, const Conv2dPointers& io, const Context& context) {
  with_plan(Pass::forward, g, context, [&](const Plan& plan, void* workspace) {
    check(cudnnConvolutionForward(handle(), &kOne, plan.src, io.src, plan.weight, io.weight, plan.conv,
                                  static_cast<cudnnConvolutionFwdAlgo_t>(plan.algorithm.number), workspace,
                                  plan.algorithm.workspace, &kZero, plan.dst, io.dst),
          "forward");
    if (io.bias != nullptr) check(cudnnAddTensor(handle(), &kOne, plan.bias, io.bias, &kOne, plan.dst, io.dst), "bias");
  });
}

void backward_data(const ConvGeometry& g, const Conv2dPointers& io, const Context& context) {
  with_plan(Pass::backward_data, g, context, [&](const Plan& plan, void* workspace) {
    check(cudnnConvolutionBackwardData(handle(), &kOne, plan.weight, io.weight, plan.dst, io.d_dst, plan.conv,
                                       static_cast<cudnnConvolutionBwdDataAlgo_t>(plan.algorithm.number), workspace,
                                       plan.algorithm.workspace, &kZero, plan.src, io.d_src),
          "backward_data");
  });
}

void backward_weight(const ConvGeometry& g, const Conv2dPointers& io, const Context& context) {
  with_plan(Pass::backward_weight, g, context, [&](const Plan& plan, void* workspace) {
    check(cudnnConvolutionBackwardFilter(handle(), &kOne, plan.src, io.src, plan.dst, io.d_dst, plan.conv,
                                         static_cast<cudnnConvolutionBwdFilterAlgo_t>(plan.algorithm.number), workspace,
                                         plan.algorithm.workspace, &kZero, plan.weight, io.d_weight),
          "backward_weight");
    if (io.d_bias != nullptr)
      check(cudnnConvolutionBackwardBias(handle(), &kOne, plan.dst, io.d_dst, &kZero, plan.bias, io.d_bias), "d_bias");
  });
}

}  // namespace

#define OCTET_CUDNN_ROW(pass, run)                                                                           \
  const char* conv2d_##pass##_f32_cudnn_why_not(const Conv2dProblem& g) { return why_not(Pass::run, g); }    \
  void conv2d_##pass##_f32_cudnn(const Conv2dProblem& g, const Conv2dPointers& io, const Context& context) { \
    run(g, io, context);                                                                                     \
  }
OCTET_CUDNN_ROW(fwd, forward)
OCTET_CUDNN_ROW(bwd_data, backward_data)
OCTET_CUDNN_ROW(bwd_weight, backward_weight)
#undef OCTET_CUDNN_ROW

}  // namespace octet::kernels
