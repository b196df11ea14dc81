#include <algorithm>
#include <array>

#include "nn/init.h"
#include "nn/models.h"

namespace octet::nn {
namespace {

struct StagePlan {
  std::int64_t expansion, channels, blocks, stride;
};
// Sandler et al. 2018, table 2.
constexpr std::array<StagePlan, 7> kStages{
    {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}}};
constexpr std::int64_t kStem = 32, kLast = 1280;
constexpr std::size_t kFirstReduction = 1;  // of the stages

/// The multiple of 8 nearest to channels·scale, at least 8 and never more than a tenth below it, as the authors' code
/// has it.
std::int64_t scaled_width(std::int64_t channels, double scale) {
  constexpr std::int64_t kMultiple = 8;
  const double wanted = static_cast<double>(channels) * scale;
  const std::int64_t near =
      std::max(kMultiple, static_cast<std::int64_t>(wanted + kMultiple / 2.0) / kMultiple * kMultiple);
  return static_cast<double>(near) < 0.9 * wanted ? near + kMultiple : near;
}

// Expand 1x1, depthwise 3x3, project 1x1 without activation; the input is added where the shape stays.
class InvertedResidual : public Module {
 public:
  InvertedResidual(std::int64_t in, std::int64_t out, std::int64_t stride, std::int64_t expansion) {
    const std::int64_t wide = in * expansion;
    const auto block = [](const Conv2dOptions& options, ops::Activation act) {
      return std::make_shared<ConvBnAct>(options, act);
    };
    if (expansion != 1)
      expand_ = register_module("expand", block({in, wide, 1, 1, 1, 0, false, false}, ops::Activation::relu6));
    dw_ = register_module("dw", block({wide, wide, 3, 3, stride, 1, false, true}, ops::Activation::relu6));
    project_ = register_module("project", block({wide, out, 1, 1, 1, 0, false, false}, ops::Activation::none));
    if (stride == 1 && in == out) add_ = register_module("add", std::make_shared<Add>());
  }
  std::string kind() const override { return "InvertedResidual"; }
  Variable forward(const Variable& src) override { return ops::materialise((*this)(ops::Deferred{src})); }
  using Module::operator();
  ops::Deferred operator()(const ops::Deferred& src) {
    ScopeGuard scope(this);
    if (!add_) return inner(src);
    const Variable shortcut = ops::materialise(src);  // read twice
    return {(*add_)(ops::materialise(inner({shortcut})), shortcut)};
  }

 private:
  ops::Deferred inner(const ops::Deferred& src) { return (*project_)((*dw_)(expand_ ? (*expand_)(src) : src)); }
  std::shared_ptr<ConvBnAct> expand_, dw_, project_;
  std::shared_ptr<Add> add_;
};

class MobileNetV2 : public Module {
 public:
  explicit MobileNetV2(const MobileNetV2Options& options) {
    // The cifar variant keeps 32x32 maps through the stem and the first reduction.
    const bool cifar = options.variant == Variant::cifar;
    std::int64_t channels = scaled_width(kStem, options.scale);
    conv1_ = register_module(
        "conv1", std::make_shared<ConvBnAct>(Conv2dOptions{3, channels, 3, 3, cifar ? 1 : 2, 1, false, false},
                                             ops::Activation::relu6));
    std::vector<std::shared_ptr<Module>> blocks;
    for (std::size_t stage = 0; stage < kStages.size(); ++stage) {
      const StagePlan& plan = kStages[stage];
      const std::int64_t out = scaled_width(plan.channels, options.scale);
      for (std::int64_t i = 0; i < plan.blocks; ++i) {
        const std::int64_t stride = i > 0 || (cifar && stage == kFirstReduction) ? 1 : plan.stride;
        auto block = std::make_shared<InvertedResidual>(channels, out, stride, plan.expansion);
        blocks_.push_back(block.get());
        blocks.push_back(std::move(block));
        channels = out;
      }
    }
    register_module("blocks", std::make_shared<Sequential>(std::move(blocks)));
    const std::int64_t last =
        scaled_width(kLast, std::max(1.0, options.scale));  // narrow nets keep their last layer's width
    conv2_ = register_module(
        "conv2",
        std::make_shared<ConvBnAct>(Conv2dOptions{channels, last, 1, 1, 1, 0, false, false}, ops::Activation::relu6));
    pool_ = register_module("pool", std::make_shared<GlobalAvgPool>());
    flatten_ = register_module("flatten", std::make_shared<Flatten>());
    fc_ = register_module("fc", std::make_shared<Linear>(last, options.classes));
  }
  std::string kind() const override { return "MobileNetV2"; }
  Variable forward(const Variable& src) override {
    ops::Deferred x = (*conv1_)(ops::Deferred{src});
    for (InvertedResidual* block : blocks_) x = (*block)(x);
    return (*fc_)((*flatten_)((*pool_)(ops::materialise((*conv2_)(x)))));
  }

 private:
  std::shared_ptr<ConvBnAct> conv1_, conv2_;
  std::vector<InvertedResidual*> blocks_;  // owned by the child "blocks"
  std::shared_ptr<GlobalAvgPool> pool_;
  std::shared_ptr<Flatten> flatten_;
  std::shared_ptr<Linear> fc_;
};

}  // namespace

std::shared_ptr<Module> mobilenet_v2(const MobileNetV2Options& options) {
  OCTET_CHECK(options.scale >= 0.03125 && options.scale <= 4, "mobilenet_v2", "scale {} is not in [1/32, 4]",
              options.scale);
  OCTET_CHECK(options.classes >= 1 && options.classes <= 100000, "mobilenet_v2", "classes {} is not in [1, 100000]",
              options.classes);
  const auto net = [&] {
    const UnsetWeights unset;
    return std::make_shared<MobileNetV2>(options);
  }();
  initialise(*net, options.init, options.seed);
  return net;
}

}  // namespace octet::nn
