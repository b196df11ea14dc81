// Batches: order, resumption, and what happens when things go wrong on the other thread.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <numeric>
#include <set>
#include <thread>

#include "core/allocator.h"
#include "data/loader.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using data::Batch;
using data::Loader;
using data::LoaderOptions;

// Picture i is filled with byte i, and its label is i.
data::Dataset numbered(std::int64_t count) {
  data::Dataset set{"cifar10", Tensor({count, 32, 32, 3}, DType::u8), Tensor({count}, DType::s32), {}};
  for (std::int64_t i = 0; i < count; ++i) {
    set.pictures.slice(i, i + 1).fill(static_cast<double>(i % 256));
    set.labels.data<std::int32_t>()[i] = static_cast<std::int32_t>(i);
  }
  return set;
}

std::vector<Batch> rest_of(Loader& loader) {
  std::vector<Batch> batches;
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}

std::vector<int> labels_of(const std::vector<Batch>& batches) {
  std::vector<int> labels;
  for (const Batch& batch : batches)
    for (const std::int32_t label : batch.labels.span<std::int32_t>()) labels.push_back(label);
  return labels;
}

void expect_same(const Batch& a, const Batch& b) {
  EXPECT_TRUE(same_bits(a.images, b.images));
  EXPECT_TRUE(same_bits(a.labels, b.labels));
}

TEST(Loader, MemoryOfABatchIsUsedAgainWhenNobodyElseHasIt) {
  const auto numbers = numbered(103);
  Loader loader(numbers, {.batch_size = 10, .seed = 7});
  loader.start(0);
  std::set<const void*> addresses;
  std::int64_t index = 0;
  Batch kept;
  for (Batch batch; loader.next(batch); ++index) {
    expect_same(batch, loader.make(0, index));
    addresses.insert(batch.images.raw());
    if (index == 3) kept = batch;
  }
  EXPECT_EQ(index, 11);
  EXPECT_LE(addresses.size(), 7u);
  expect_same(kept, loader.make(0, 3));

  // What never was this loader's is not written into.
  Batch foreign{Tensor::full({10, 1, 1, 1}, 5), Tensor::zeros({10}, DType::s32)};
  const Tensor images = foreign.images;
  loader.start(1);
  EXPECT_TRUE(loader.next(foreign));
  EXPECT_EQ(images.at(0), 5);
  while (loader.next(foreign)) {
  }
  EXPECT_EQ(images.at(9), 5);
}

TEST(Loader, AnEpochIsAPermutationWithASmallerLastBatch) {
  Loader loader(numbered(103), {.batch_size = 10, .seed = 7});
  EXPECT_EQ(loader.batches_per_epoch(), 11);
  EXPECT_EQ(loader.dataset().size(), 103);
  std::vector<std::vector<int>> orders;
  for (const std::uint64_t epoch : {0, 1}) {
    loader.start(epoch);
    const auto batches = rest_of(loader);
    ASSERT_EQ(batches.size(), 11u);
    for (std::size_t i = 0; i < 11; ++i) EXPECT_EQ(batches[i].size(), i < 10 ? 10 : 3);
    EXPECT_EQ(batches[10].images.shape(), (Shape{3, 32, 32, 3}));
    for (const Batch& batch : batches)  // pictures stay with their labels
      for (std::int64_t i = 0; i < batch.size(); ++i)
        EXPECT_EQ(static_cast<float>(batch.images.at(i * data::kPictureBytes)),
                  (static_cast<float>(batch.labels.at(i)) - 127.5f) / 127.5f);
    auto order = labels_of(batches);
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    for (int i = 0; i < 103; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_FALSE(std::is_sorted(orders[0].begin(), orders[0].end()));
  Loader other(numbered(103), {.batch_size = 10, .seed = 8});
  other.start(0);
  EXPECT_NE(labels_of(rest_of(other)), orders[0]);
}

TEST(Loader, WithoutShuffleInOrder) {
  Loader loader(numbered(20), {.batch_size = 6, .shuffle = false});
  loader.start(3);
  std::vector<int> expected(20);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(labels_of(rest_of(loader)), expected);
}

TEST(Loader, AnyStartGivesTheSameBatches) {
  for (const LoaderOptions& options :
       {LoaderOptions{.batch_size = 8},
        LoaderOptions{.batch_size = 8, .augment = data::Augment::crop_flip, .cutout = 9}}) {
    Loader loader(numbered(50), options);
    loader.start(4);
    const auto whole = rest_of(loader);
    ASSERT_EQ(whole.size(), 7u);
    for (std::int64_t from = 0; from <= 7; ++from) {
      loader.start(4, from);
      const auto rest = rest_of(loader);
      ASSERT_EQ(rest.size(), static_cast<std::size_t>(7 - from));
      for (std::size_t i = 0; i < rest.size(); ++i) expect_same(rest[i], whole[static_cast<std::size_t>(from) + i]);
    }
    for (std::int64_t i = 0; i < 7; ++i) expect_same(loader.make(4, i), whole[static_cast<std::size_t>(i)]);
  }
}

TEST(Loader, RestartedHalfWayAndReadBeyondTheEnd) {
  Loader loader(numbered(40), {.batch_size = 4});
  Batch batch;
  EXPECT_FALSE(loader.next(batch));  // not started
  loader.start(0);
  ASSERT_TRUE(loader.next(batch));
  ASSERT_TRUE(loader.next(batch));
  loader.start(1);  // while the worker waits for room
  const auto batches = rest_of(loader);
  ASSERT_EQ(batches.size(), 10u);
  expect_same(batches[0], loader.make(1, 0));
  EXPECT_FALSE(loader.next(batch));
  EXPECT_FALSE(loader.next(batch));
}

TEST(Loader, SizesAtTheEdges) {
  for (const std::int64_t batch_size :
       {std::int64_t{1}, std::int64_t{5}, std::int64_t{6}, std::numeric_limits<std::int64_t>::max()}) {
    Loader loader(numbered(5), {.batch_size = batch_size});
    EXPECT_EQ(loader.batches_per_epoch(), batch_size == 1 ? 5 : 1);
    loader.start(0);
    EXPECT_EQ(labels_of(rest_of(loader)).size(), 5u);
  }
}

TEST(Loader, Refusals) {
  EXPECT_ERROR(Loader(numbered(5), {.batch_size = 0}), "batch size 0");
  EXPECT_ERROR(Loader(numbered(5), {.batch_size = -3}), "batch size -3");
  EXPECT_ERROR(Loader(numbered(5), {.cutout = 33}), "cutout of side 33, it must be 0 to 32");
  EXPECT_ERROR(Loader(numbered(5), {.cutout = -1}), "cutout of side -1");
  EXPECT_ERROR(Loader({}, {}), "no pictures");
  EXPECT_ERROR(Loader(numbered(5).first(0), {}), "no pictures");
  data::Dataset set = numbered(5);
  set.pictures = set.pictures.slice(0, 4);
  EXPECT_ERROR(Loader(set, {}), "5 labels need u8 5x32x32x3");
  set.pictures = Tensor::zeros({5, 32, 32, 3});
  EXPECT_ERROR(Loader(set, {}), "pictures are f32");
  set.pictures = Tensor::zeros({5, 3, 32, 32}, DType::u8);
  EXPECT_ERROR(Loader(set, {}), "5x3x32x32");
  set = numbered(5);
  set.labels = Tensor::zeros({5});
  EXPECT_ERROR(Loader(set, {}), "labels f32");
  Loader loader(numbered(5), {.batch_size = 2});
  EXPECT_ERROR(loader.start(0, -1), "batch -1");
  EXPECT_ERROR(loader.start(0, 4), "batch 4 is not in [0, 3]");
  EXPECT_ERROR(loader.make(0, 3), "batch 3");
  EXPECT_ERROR(loader.make(0, -1), "batch -1");
}

TEST(Loader, DestroyedAtAnyMoment) {
  for (int i = 0; i < 60; ++i) {
    Loader loader(numbered(64), {.batch_size = 4});
    if (i % 4 > 0) loader.start(0);
    Batch batch;
    for (int k = 0; k < i % 4 - 1; ++k) loader.next(batch);
    if (i % 8 >= 4) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(Loader, ReadyBeforeItIsAskedFor) {
  Loader loader(numbered(256), {.batch_size = 64});
  loader.start(0);
  const auto live = [] { return allocator_stats().bytes_live; };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const std::size_t before = live();
  while (live() < before + 2 * 64 * data::kPictureBytes * sizeof(float) && std::chrono::steady_clock::now() < until &&
         live() < 3 * 64 * data::kPictureBytes * sizeof(float))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_GE(live(), 3 * 64 * data::kPictureBytes * sizeof(float));  // nobody has called next()
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
std::size_t address_space_in_use() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

TEST(Loader, ErrorsOfTheWorkerSurface) {
  // Zero pages that no memory stands behind: a first batch that fits, and a set whose only batch does not.
  constexpr std::int64_t kCount = 100000;
  const std::size_t bytes = kCount * data::kPictureBytes;
  void* zeros = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(zeros, MAP_FAILED);
  {
    const std::shared_ptr<void> owner(zeros, [](void*) {});
    const data::Dataset set{
        "cifar10", Tensor::wrap({kCount, 32, 32, 3}, DType::u8, owner, zeros), Tensor::zeros({kCount}, DType::s32), {}};
    Loader loader(set, {.batch_size = kCount});
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    rlimit tight = before;
    tight.rlim_cur = address_space_in_use() + (std::size_t{256} << 20);  // a batch needs 1.2 GB
    if (::setrlimit(RLIMIT_AS, &tight) != 0) GTEST_SKIP() << "no memory limits here";
    loader.start(0);
    Batch batch;
    EXPECT_ERROR(loader.next(batch), "use a smaller batch");
    EXPECT_ERROR(loader.next(batch), "use a smaller batch");  // and does not hang
    ::setrlimit(RLIMIT_AS, &before);
    EXPECT_FALSE(batch.images.defined());
  }
  ::munmap(zeros, bytes);
}
#endif

}  // namespace
}  // namespace octet::test
