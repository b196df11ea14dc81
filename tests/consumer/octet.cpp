// An outside program that uses everything: one forward pass of a small MobileNetV1.
#include <octet/nn/models.h>

#include <cstdio>

int main() {
  using namespace octet;
  auto model = nn::mobilenet_v1({.classes = 10, .scale = 0.25, .variant = nn::Variant::cifar});
  model->eval();
  Variable logits = (*model)(Variable(Tensor::zeros({2, 32, 32, 3})));
  std::printf("logits %s\n", logits.shape().str().c_str());
  return logits.shape() == Shape{2, 10} ? 0 : 1;
}
