// Batches made on a device out of a resident set beside the loader's; the row of the device beside the reference.
#include "core/random.h"
#include "data/resident.h"
#include "kernels/augment/augment.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace octet {
namespace {

using test::Buffer;

class GpuResident : public test::OnDevice {};

data::Dataset noise(std::int64_t count) {
  data::Dataset set{"noise", Tensor({count, 32, 32, 3}, DType::u8), Tensor({count}, DType::s32), {}};
  Random random(3, Purpose::test);
  for (std::uint8_t& x : set.pictures.span<std::uint8_t>()) x = static_cast<std::uint8_t>(random.bits());
  for (std::int32_t& x : set.labels.span<std::int32_t>()) x = static_cast<std::int32_t>(random.below(10));
  return set;
}

void expect_same_batch(const data::Batch& wanted, const data::Batch& got, const std::string& what) {
  EXPECT_TRUE(test::same_bits(wanted.images, got.images.to(Device::cpu))) << what;
  EXPECT_TRUE(test::same_bits(wanted.labels, got.labels.to(Device::cpu))) << what;
}

TEST_F(GpuResident, EveryBatchHasTheBitsOfTheLoaders) {
  const data::Dataset set = noise(23);
  for (const auto& [augment, cutout] : {std::pair{data::Augment::none, 0},
                                        {data::Augment::crop_flip, 0},
                                        {data::Augment::none, 8},
                                        {data::Augment::crop_flip, 13}})
    for (const bool shuffle : {true, false})
      for (const Device device : {Device::cuda, Device::cpu}) {
        const data::LoaderOptions options{
            .batch_size = 6, .shuffle = shuffle, .augment = augment, .seed = 9, .cutout = cutout};
        const data::Loader loader(set, options);
        data::Resident resident(set, options, device);
        ASSERT_EQ(resident.batches_per_epoch(), loader.batches_per_epoch());
        for (const std::uint64_t epoch : {0, 1}) {
          resident.start(epoch);
          for (std::int64_t i = 0; i < loader.batches_per_epoch(); ++i)
            expect_same_batch(loader.make(epoch, i), resident.next(resident.count_of(i)),
                              std::to_string(epoch) + " " + std::to_string(i));
        }
        resident.start(1, 3);
        expect_same_batch(loader.make(1, 3), resident.next(5), "started in the middle");
      }
}

TEST_F(GpuResident, ARecordedBatchMovesOn) {
  const data::Dataset set = noise(12);
  const data::LoaderOptions options{.batch_size = 4, .augment = data::Augment::crop_flip};
  const data::Loader loader(set, options);
  data::Resident resident(set, options);
  data::Batch batch;
  const gpu::Graph graph = gpu::Graph::record([&] { batch = resident.next(4); });
  for (const std::uint64_t epoch : {4, 5}) {
    resident.start(epoch);
    for (std::int64_t i = 0; i < 3; ++i) {
      graph.launch();
      expect_same_batch(loader.make(epoch, i), batch, "recorded");
    }
  }
}

TEST_F(GpuResident, Refusals) {
  const data::Dataset set = noise(5);
  EXPECT_ERROR(data::Resident(set, {.batch_size = 0}), "batch size 0");
  EXPECT_ERROR(data::Resident({}, {}), "no pictures");
  data::Resident resident(set, {.batch_size = 3});
  EXPECT_EQ(resident.count_of(1), 2);
  EXPECT_ERROR(resident.count_of(2), "batch 2 is not in [0, 2)");
  EXPECT_ERROR(resident.start(0, 3), "batch 3 is not in [0, 2]");
  EXPECT_ERROR(resident.next(4), "a batch has 1 to 3 pictures");
  EXPECT_EQ(data::Resident(set, {.batch_size = std::numeric_limits<std::int64_t>::max()}).count_of(0), 5);
}

/// Pictures of other sizes, views that show border only, without views and position.
void expect_row(const kernels::AugmentProblem& p, bool with_views) {
  constexpr std::int64_t kAll = 9;
  const auto size = static_cast<std::size_t>(p.h * p.w * p.c), count = static_cast<std::size_t>(p.count);
  Random random(static_cast<std::uint64_t>(p.h * 100 + p.w), Purpose::test);
  std::vector<std::uint8_t> pictures(kAll * size);
  for (auto& x : pictures) x = static_cast<std::uint8_t>(random.bits());
  std::vector<std::int32_t> labels(kAll), order(kAll + 2), position{2};
  for (auto& x : labels) x = static_cast<std::int32_t>(random.below(100));
  for (auto& x : order) x = static_cast<std::int32_t>(random.below(kAll));
  std::vector<kernels::View> views;
  for (std::size_t i = 0; i < order.size(); ++i)
    views.push_back({static_cast<std::int8_t>(static_cast<int>(random.below(11)) - 5),
                     static_cast<std::int8_t>(i == 3 ? -128 : static_cast<int>(random.below(11)) - 5),
                     random.below(2) == 1, static_cast<std::int8_t>(static_cast<int>(random.below(11)) - 5),
                     static_cast<std::int8_t>(random.below(8)), static_cast<std::uint8_t>(random.below(6))});
  std::vector<float> values(count * size);
  std::vector<std::int32_t> batch_labels(count);
  Buffer<std::uint8_t> dpictures(pictures);
  Buffer<std::int32_t> dlabels(labels), dorder(order), dposition(position), dbatch(count);
  Buffer<kernels::View> dviews(views);
  Buffer<float> dvalues(count * size);
  const kernels::AugmentRow* row = test::device_row(kernels::augment_rows(), "augment_fwd", "u8f32", p);
  ASSERT_NE(row, nullptr);
  test::reference_row(kernels::augment_rows(), "augment_fwd", "u8f32")
      .run(p,
           {pictures.data(), labels.data(), order.data(), with_views ? views.data() : nullptr,
            with_views ? position.data() : nullptr, values.data(), batch_labels.data()},
           {});
  row->run(p,
           {dpictures, dlabels, dorder, with_views ? dviews.data() : nullptr, with_views ? dposition.data() : nullptr,
            dvalues, dbatch},
           kernels::context_of(Device::cuda));
  test::expect_same(values, dvalues.values(), p.str());
  EXPECT_EQ(batch_labels, dbatch.values());
  EXPECT_EQ(position, dposition.values());
  EXPECT_EQ(position[0], with_views ? 2 + p.count : 2);
}

TEST_F(GpuResident, TheRowHasTheReferencesBits) {
  for (const bool with_views : {true, false})
    for (const kernels::AugmentProblem& p :
         {kernels::AugmentProblem{3, 32, 32, 3}, {9, 1, 1, 1}, {5, 3, 7, 1}, {2, 5, 9, 4}})
      expect_row(p, with_views);
}

}  // namespace
}  // namespace octet
