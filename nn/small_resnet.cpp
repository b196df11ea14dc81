#include "nn/init.h"
#include "nn/models.h"

namespace octet::nn {
namespace {

std::shared_ptr<ConvBnAct> conv_bn(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                                   ops::Activation act) {
  return std::make_shared<ConvBnAct>(Conv2dOptions{in, out, kernel, kernel, stride, kernel / 2, false, false}, act);
}

// relu(second(first(x)) + shortcut(x)); the shortcut projects where the shape changes.
class BasicBlock : public Module {
 public:
  BasicBlock(std::int64_t in, std::int64_t out, std::int64_t stride) {
    first_ = register_module("first", conv_bn(in, out, 3, stride, ops::Activation::relu));
    second_ = register_module("second", conv_bn(out, out, 3, 1, ops::Activation::none));
    if (in != out || stride != 1)
      shortcut_ = register_module("shortcut", conv_bn(in, out, 1, stride, ops::Activation::none));
    add_ = register_module("add", std::make_shared<Add>());
    relu_ = register_module("relu", relu());
  }
  std::string kind() const override { return "BasicBlock"; }
  Variable forward(const Variable& src) override {
    const Variable y = (*second_)((*first_)(src));
    return (*relu_)((*add_)(y, shortcut_ ? (*shortcut_)(src) : src));
  }

 private:
  std::shared_ptr<ConvBnAct> first_, second_, shortcut_;
  std::shared_ptr<Add> add_;
  std::shared_ptr<Activation> relu_;
};

class SmallResNet : public Module {
 public:
  explicit SmallResNet(const SmallResNetOptions& options) {
    std::vector<std::shared_ptr<Module>> layers{conv_bn(3, options.width, 3, 1, ops::Activation::relu)};
    std::int64_t channels = options.width;
    for (std::int64_t stage = 0; stage < 3; ++stage)
      for (std::int64_t i = 0; i < options.blocks_per_stage; ++i) {
        const std::int64_t out = options.width << stage;
        layers.push_back(std::make_shared<BasicBlock>(channels, out, stage > 0 && i == 0 ? 2 : 1));
        channels = out;
      }
    layers.push_back(std::make_shared<GlobalAvgPool>());
    layers.push_back(std::make_shared<Flatten>());
    features_ = register_module("features", std::make_shared<Sequential>(std::move(layers)));
    fc_ = register_module("fc", std::make_shared<Linear>(channels, options.classes));
  }
  std::string kind() const override { return "SmallResNet"; }
  Variable forward(const Variable& src) override { return (*fc_)((*features_)(src)); }

 private:
  std::shared_ptr<Sequential> features_;
  std::shared_ptr<Linear> fc_;
};

}  // namespace

std::shared_ptr<Module> small_resnet(const SmallResNetOptions& options) {
  OCTET_CHECK(options.classes >= 1 && options.classes <= 100000 && options.width >= 1 && options.width <= 4096 &&
                  options.blocks_per_stage >= 1 && options.blocks_per_stage <= 1000,
              "small_resnet",
              "classes {}, width {} and blocks_per_stage {} must be positive (and at most 100000, 4096 and 1000)",
              options.classes, options.width, options.blocks_per_stage);
  const auto net = [&] {
    const UnsetWeights unset;
    return std::make_shared<SmallResNet>(options);
  }();
  initialise(*net, options.init, options.seed);
  return net;
}

}  // namespace octet::nn
