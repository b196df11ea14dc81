#include <array>
#include <cmath>

#include "nn/init.h"
#include "nn/models.h"

namespace octet::nn {
namespace {

struct BlockPlan {
  std::int64_t in, out, stride;
};
// Widths at scale 1 and strides of Howard et al. 2017, table 1.
constexpr std::array<BlockPlan, 13> kBlocks{{{32, 64, 1},
                                             {64, 128, 2},
                                             {128, 128, 1},
                                             {128, 256, 2},
                                             {256, 256, 1},
                                             {256, 512, 2},
                                             {512, 512, 1},
                                             {512, 512, 1},
                                             {512, 512, 1},
                                             {512, 512, 1},
                                             {512, 512, 1},
                                             {512, 1024, 2},
                                             {1024, 1024, 1}}};

// Depthwise 3x3 then pointwise 1x1, each with batch norm and ReLU.
class SeparableBlock : public Module {
 public:
  SeparableBlock(std::int64_t in, std::int64_t out, std::int64_t stride) {
    Conv2dOptions depthwise{in, in, 3, 3, stride, 1, false, true};
    Conv2dOptions pointwise{in, out, 1, 1, 1, 0, false, false};
    dw_ = register_module("dw", std::make_shared<ConvBnAct>(depthwise, ops::Activation::relu));
    pw_ = register_module("pw", std::make_shared<ConvBnAct>(pointwise, ops::Activation::relu));
  }
  std::string kind() const override { return "SeparableBlock"; }
  Variable forward(const Variable& src) override { return ops::materialise((*this)(ops::Deferred{src})); }
  using Module::operator();
  ops::Deferred operator()(const ops::Deferred& src) {
    ScopeGuard scope(this);
    return (*pw_)((*dw_)(src));
  }

 private:
  std::shared_ptr<ConvBnAct> dw_, pw_;
};

class MobileNetV1 : public Module {
 public:
  explicit MobileNetV1(const MobileNetV1Options& options) {
    const auto width = [&](std::int64_t channels) {
      return static_cast<std::int64_t>(static_cast<double>(channels) * options.scale);
    };
    // The cifar variant keeps 32x32 maps through the stem and the first reduction.
    const bool cifar = options.variant == Variant::cifar;
    conv1_ = register_module(
        "conv1", std::make_shared<ConvBnAct>(Conv2dOptions{3, width(32), 3, 3, cifar ? 1 : 2, 1, false, false},
                                             ops::Activation::relu));
    std::vector<std::shared_ptr<Module>> blocks;
    for (std::size_t i = 0; i < kBlocks.size(); ++i) {
      const auto& plan = kBlocks[i];
      const std::int64_t stride = cifar && i == 1 ? 1 : plan.stride;
      auto block = std::make_shared<SeparableBlock>(width(plan.in), width(plan.out), stride);
      blocks_.push_back(block.get());
      blocks.push_back(std::move(block));
    }
    register_module("blocks", std::make_shared<Sequential>(std::move(blocks)));
    pool_ = register_module("pool", std::make_shared<GlobalAvgPool>());
    flatten_ = register_module("flatten", std::make_shared<Flatten>());
    fc_ = register_module("fc", std::make_shared<Linear>(width(1024), options.classes));
  }
  std::string kind() const override { return "MobileNetV1"; }
  Variable forward(const Variable& src) override {
    ops::Deferred x = (*conv1_)(ops::Deferred{src});
    for (SeparableBlock* block : blocks_) x = (*block)(x);
    return (*fc_)((*flatten_)((*pool_)(ops::materialise(x))));
  }

 private:
  std::shared_ptr<ConvBnAct> conv1_;
  std::vector<SeparableBlock*> blocks_;  // owned by the child "blocks"
  std::shared_ptr<GlobalAvgPool> pool_;
  std::shared_ptr<Flatten> flatten_;
  std::shared_ptr<Linear> fc_;
};

}  // namespace

std::shared_ptr<Module> mobilenet_v1(const MobileNetV1Options& options) {
  OCTET_CHECK(options.scale >= 0.03125 && options.scale <= 4, "mobilenet_v1", "scale {} is not in [1/32, 4]",
              options.scale);
  OCTET_CHECK(options.classes >= 1 && options.classes <= 100000, "mobilenet_v1", "classes {} is not in [1, 100000]",
              options.classes);
  const auto net = [&] {
    const UnsetWeights unset;
    return std::make_shared<MobileNetV1>(options);
  }();
  initialise(*net, options.init, options.seed);
  return net;
}

}  // namespace octet::nn
