// The one graphics processor that a process uses, and its one stream: memory, copies and recorded graphs. Two kinds: `cuda`, a
// device of the CUDA runtime, and `emulated`, which runs the same .cu files on the host, thread by thread, so that they can be
// tested where there is no device (core/gpu/emulator.h). Emulated memory is host memory.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace octet::gpu {

enum class Kind { none, cuda, emulated };

/// OCTET_GPU=emulated asks for the emulated device; otherwise the first CUDA device, if this build has CUDA and the machine a
/// driver and a device of compute capability 8.0 or more. Decided at the first call.
Kind kind();
/// "NVIDIA H200, compute capability 9.0", "emulated on the host"; where kind() is none, why: one line.
std::string description();
/// Throws Error "[gpu] …" with a hint when kind() is none.
void require();
/// Is the emulated device built in? Builds with tests have it.
bool can_emulate();
/// Takes the emulated device from now on, as OCTET_GPU=emulated would. For tests; tensors of another device must be gone.
void use_emulated();

/// Device memory, 256-byte aligned, kept for the next request of the same size when the last owner lets go; safe without waiting,
/// since everything runs in the order of the one stream. Throws Error when there is none left.
std::shared_ptr<void> allocate(std::size_t bytes);
/// Plain pair for rows: scratch memory for the length of a call.
void* scratch_acquire(std::size_t bytes);
void scratch_release(void* memory, std::size_t bytes);
/// Gives cached memory back.
void trim();
/// Bytes in use now, and the most that the device had to give.
struct MemoryStats {
  std::size_t live = 0, peak_held = 0;
};
MemoryStats memory_stats();

/// In the order of the stream, by way of page-locked memory (staging.h). From the host the bytes are taken before the call returns, and
/// arrive later; to the host the call waits for them.
void copy_from_host(void* to, const void* from, std::size_t bytes);
void copy_to_host(void* to, const void* from, std::size_t bytes);
void copy(void* to, const void* from, std::size_t bytes);
void zero(void* to, std::size_t bytes);
/// Elements of f32: to[i] = value; to[i] = a[i] + b[i].
void fill(float* to, float value, std::size_t count);
void fill(int* to, int value, std::size_t count);
void sum(float* to, const float* a, const float* b, std::size_t count);

/// cudaStream_t; null for the emulated device.
void* stream();
/// Waits until the stream is empty. Throws Error when something in it failed.
void synchronize();

/// Copies between host and device that this process has made. Work that makes none can be recorded.
std::size_t host_copies();

/// What was launched and copied on the device while one was recorded, to be run again with the same addresses.
class Graph {
 public:
  /// Runs `work` recording, not executing. Memory that work() allocates belongs to the graph from then on, used again within it
  /// only; nobody else gets it before the graph is gone. Copies to or from the host throw.
  static Graph record(const std::function<void()>& work);
  void launch() const;
  bool defined() const { return made_ != nullptr; }

 private:
  std::shared_ptr<void> made_;
};
/// Is a graph being recorded?
bool recording();
/// Runs `work` now, or as soon as the recording that is going on has succeeded: copies of what the recorded work reads.
void after_recording(std::function<void()> work);
/// While one lives, what is allocated belongs to no graph: for memory that is written between a recording and the launches, which
/// the recorded work must not use for something else before it is read.
class OutsideGraph {
 public:
  OutsideGraph();
  ~OutsideGraph();
  OutsideGraph(const OutsideGraph&) = delete;

 private:
  bool before_;
};

}  // namespace octet::gpu
