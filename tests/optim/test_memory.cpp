// What a training step asks of the system once it has run: no memory, no page, and few pieces of the heap.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/parallel.h"
#include "nn/models.h"
#include "optim/trainer.h"
#include "toy_problem.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OCTET_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OCTET_SANITIZED 1
#endif
#endif

namespace {
std::atomic<std::uint64_t> heap_pieces{0};
}

#if !defined(OCTET_SANITIZED)
void* operator new(std::size_t size) {
  heap_pieces.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace octet::test {
namespace {

using optim::Progress;

long minor_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

struct Reading {
  std::uint64_t system = 0, heap = 0;
  long faults = 0;
};

/// Reads the counters after every step.
class Watch : public optim::Callback {
 public:
  Watch() { readings.reserve(1000); }
  void on_step(const Progress&) override {
    readings.push_back({allocator_stats().system_allocations, heap_pieces.load(), minor_faults()});
  }
  std::vector<Reading> readings;
};

// Two epochs of five full batches and a smaller one.
std::vector<Reading> train(const std::shared_ptr<nn::Module>& net, std::int64_t batch) {
  allocator_trim();
  optim::Trainer trainer(net);
  optim::FitOptions options;
  options.epochs = 3;
  options.loader = {batch, true, data::Augment::crop_flip, 1};
  Watch watch;
  trainer.fit(toy_pictures(5 * batch + batch / 3, 4), options, &watch);
  EXPECT_EQ(watch.readings.size(), 18u);
  return watch.readings;
}

TEST(Memory, AfterTheFirstStepNoMemoryIsAskedOfTheSystem) {
  nn::MobileNetV1Options small;
  small.scale = 0.25;
  // One thread: of several, two may meet over the same scratch for the first time in any step.
  const int threads = num_threads();
  set_num_threads(1);
  const auto steps = train(nn::mobilenet_v1(small), 48);
  set_num_threads(threads);
  ASSERT_EQ(steps.size(), 18u);
  EXPECT_GT(steps[0].system, 0u);
  // The loader works beside the steps: two batches that are ready and one that it makes, images and labels.
  EXPECT_LE(steps[4].system, steps[0].system + 6);
#if !defined(OCTET_SANITIZED)
  EXPECT_LE(steps[5].system,
            steps[4].system + 16);  // the smaller batch lives in the larger one's memory, but for what is tiny
#endif
  // The loader beside may come upon its last buffer late.
  for (std::size_t i = 7; i < steps.size(); ++i) EXPECT_LE(steps[i].system, steps[6].system + 4) << "step " << i;
}

TEST(Memory, WarmStepsTouchNoNewPage) {
#if defined(OCTET_SANITIZED)
  GTEST_SKIP() << "a sanitizer has pages of its own";
#endif
  if (usable_isa() == Isa::reference)
    GTEST_SKIP() << "reference rows hold what they need in vectors, which go back to the system";
  nn::MobileNetV1Options small;
  small.scale = 0.25;
  const auto steps = train(nn::mobilenet_v1(small), 48);
  ASSERT_EQ(steps.size(), 18u);
  const double faults = static_cast<double>(steps[17].faults - steps[8].faults) / 9;
  const double pieces = static_cast<double>(steps[17].heap - steps[8].heap) / 9;
  RecordProperty("faults_per_step", std::to_string(faults));
  RecordProperty("heap_pieces_per_step", std::to_string(pieces));
  std::printf("per step: %.1f page faults, %.0f pieces of heap\n", faults, pieces);
  EXPECT_LT(faults, 20);    // an epoch's thread begins with a stack of its own
  EXPECT_LT(pieces, 2500);  // nodes, closures, handles
}

}  // namespace
}  // namespace octet::test
