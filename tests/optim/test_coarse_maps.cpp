// Small maps first: which steps have them, and what a resumed fit makes of it.
#include "optim/coarse_maps.h"

#include <gtest/gtest.h>

#include "optim/trainer.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/stop_after.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

using optim::CoarseMaps;
using optim::FitOptions;
using optim::Trainer;

nn::Conv2d& stem_of(nn::Module& net) { return dynamic_cast<nn::Conv2d&>(*net.named_modules()[2].second); }

/// The stride of the stem at every step.
struct Strides : optim::Callback {
  explicit Strides(nn::Conv2d& conv) : stem(conv) {}
  void on_step(const optim::Progress&) override { seen += std::to_string(stem.options().stride); }
  nn::Conv2d& stem;
  std::string seen;
};

std::uint32_t fit(const FitOptions& options, std::int64_t coarse, optim::Callback* callback = nullptr) {
  const auto net = toy_net();
  Trainer trainer(net);
  Trainer::Settings settings{{0.05, 0.9, 1e-4, true}, optim::ScheduleKind::cosine, 0.05};
  if (coarse > 0) settings.methods = {std::make_shared<CoarseMaps>(stem_of(*net), coarse)};
  trainer.prepare(settings);
  try {
    trainer.fit(three_toy_batches(), options, callback);
  } catch (const Stop&) {
  }
  EXPECT_EQ(stem_of(*net).options().stride, 4) << "behind a fit all is as before";
  return state_crc(net->state());
}

TEST(CoarseMaps, DoublesAStrideForTheFirstEpochs) {
  const auto net = toy_net();
  ASSERT_EQ(stem_of(*net).options().kernel_h, 3);
  Trainer trainer(net);
  trainer.prepare({.methods = {std::make_shared<CoarseMaps>(stem_of(*net), 2)}});
  Strides strides(stem_of(*net));
  trainer.fit(three_toy_batches(), toy_options(3), &strides);
  EXPECT_EQ(strides.seen, "888888444") << "three steps an epoch";
  EXPECT_EQ(stem_of(*net).options().stride, 4);
  EXPECT_ERROR(CoarseMaps(stem_of(*net), 0), "0 epochs");
}

TEST(CoarseMaps, AResumedFitHasTheSameBits) {
  const TempFolder folder;
  const std::uint32_t whole = fit(toy_options(3), 2);
  EXPECT_NE(whole, fit(toy_options(3), 0));
  EXPECT_NE(whole, fit(toy_options(3), 1));
  for (const std::int64_t stop_after : {2, 5, 6, 7}) {
    FitOptions options = toy_options(3);
    options.checkpoint_path = folder / std::to_string(stop_after), options.tag = "t", options.checkpoint_every = 1;
    StopAfter stop(stop_after);
    fit(options, 2, &stop);
    options.resume = true;
    EXPECT_EQ(fit(options, 2), whole) << stop_after;
  }
}

}  // namespace
}  // namespace octet::test
