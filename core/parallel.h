// The thread pool: work is cut into tasks that follow from the problem, never from the number of threads, so that
// results are the same bits for any number of threads.
#pragma once
#include <cstdint>
#include <type_traits>

namespace octet {

/// Threads that parallel_for uses, the caller included. Default: the processors this process may run on.
int num_threads();
inline constexpr int kMostThreads = 256;
/// 1 to kMostThreads; throws Error otherwise. Not to be called while a parallel_for runs; changes nothing in a forked child, which works
/// alone.
void set_num_threads(int threads);

/// Runs body(context, i) for every i in [0, tasks), in any order, on the pool; returns when all are done. Nested
/// calls run in line. The first exception thrown by a task is rethrown here. Plain C form for kernel files.
void parallel_run(std::int64_t tasks, void (*body)(void* context, std::int64_t i), void* context);

namespace {  // internal linkage: kernel files are compiled with ISA flags, no copy of theirs may be shared

/// parallel_for(n, [&](std::int64_t i) { … });
template <class F>
inline void parallel_for(std::int64_t tasks, F&& body) {
  using Body = std::remove_reference_t<F>;
  parallel_run(
      tasks, [](void* context, std::int64_t i) { (*static_cast<Body*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace
}  // namespace octet
