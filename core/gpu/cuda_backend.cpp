#include <cuda_runtime_api.h>

#include "core/error.h"
#include "core/gpu/backend.h"
#include "core/gpu/elementwise.h"

namespace octet::gpu {
namespace {

constexpr int kLeastMajor = 8;  // the kernels are compiled for compute capability 8.0 and later

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) cudaGetLastError();  // told here: the next launch shall not be blamed for it
  OCTET_CHECK(status == cudaSuccess, "gpu", "{}: {}", what, cudaGetErrorString(status));
}

/// While one lives, calls that a recording forbids by default are allowed on this thread: they are no part of the graph.
class AllowDuringRecording {
 public:
  AllowDuringRecording() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~AllowDuringRecording() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  AllowDuringRecording(const AllowDuringRecording&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(const cudaDeviceProp& device)
      : description_(fmt::format("{}, compute capability {}.{}", device.name, device.major, device.minor)) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~CudaBackend() override { cudaStreamDestroy(stream_); }

  std::string description() const override { return description_; }
  void* take(std::size_t bytes) override {
    void* memory = nullptr;
    const AllowDuringRecording allow;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    check(status, "cudaMalloc");
    return memory;
  }
  void give(void* memory) override {
    const AllowDuringRecording allow;
    cudaFree(memory);
  }
  void copy_from_host(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copy to the host");
  }
  void* take_pinned(std::size_t bytes) override {
    void* memory = nullptr;
    const AllowDuringRecording allow;
    if (cudaHostAlloc(&memory, bytes, cudaHostAllocDefault) == cudaSuccess) return memory;
    cudaGetLastError();
    return nullptr;
  }
  void give_pinned(void* memory) override {
    const AllowDuringRecording allow;
    cudaFreeHost(memory);
  }
  std::shared_ptr<void> make_mark() override {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    return {event, [](void* e) { cudaEventDestroy(static_cast<cudaEvent_t>(e)); }};
  }
  void set(void* mark) override { check(cudaEventRecord(static_cast<cudaEvent_t>(mark), stream_), "cudaEventRecord"); }
  void wait(void* mark) override { check(cudaEventSynchronize(static_cast<cudaEvent_t>(mark)), "work on the device"); }
  void copy(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copy on the device");
  }
  void zero(void* to, std::size_t bytes) override {
    check(cudaMemsetAsync(to, 0, bytes, stream_), "memset on the device");
  }
  void fill(float* to, float value, std::size_t count) override { fill_f32_cuda(to, value, count, stream_); }
  void fill(int* to, int value, std::size_t count) override { fill_s32_cuda(to, value, count, stream_); }
  void sum(float* to, const float* a, const float* b, std::size_t count) override {
    sum_f32_cuda(to, a, b, count, stream_);
  }
  void* stream() override { return stream_; }
  void synchronize() override { check(cudaStreamSynchronize(stream_), "work on the device"); }

  void begin_recording() override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), "recording a graph");
  }
  std::shared_ptr<void> end_recording() override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), "recording a graph");
    cudaGraphExec_t made = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&made, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "making a graph");
    return {made, [](void* exec) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(exec)); }};
  }
  void launch(void* graph) override {
    check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_), "running a graph");
  }

 private:
  std::string description_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace

void check_launch(const char* kernel) {
  const cudaError_t status = cudaGetLastError();
  OCTET_CHECK(status == cudaSuccess, "gpu", "{} was not launched: {}", kernel, cudaGetErrorString(status));
}

std::unique_ptr<Backend> cuda_backend(std::string& why_not) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    why_not = status == cudaSuccess ? "this machine has no CUDA device"
                                    : fmt::format("CUDA says: {}", cudaGetErrorString(status));
    return nullptr;
  }
  cudaDeviceProp device{};
  if (const cudaError_t asked = cudaGetDeviceProperties(&device, 0); asked != cudaSuccess) {
    why_not = fmt::format("CUDA says: {}", cudaGetErrorString(asked));
    return nullptr;
  }
  if (device.major < kLeastMajor) {
    why_not = fmt::format("{} has compute capability {}.{}, {}.0 is the least that is supported", device.name,
                          device.major, device.minor, kLeastMajor);
    return nullptr;
  }
  check(cudaSetDevice(0), "cudaSetDevice");
  return std::make_unique<CudaBackend>(device);
}

}  // namespace octet::gpu
