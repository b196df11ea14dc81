#include "nn/layers.h"

namespace octet::nn {

std::string Activation::kind() const {
  switch (act_) {
    case ops::Activation::relu:
      return "ReLU";
    case ops::Activation::relu6:
      return "ReLU6";
    case ops::Activation::none:
      break;
  }
  return "Identity";
}

std::shared_ptr<Activation> relu() { return std::make_shared<Activation>(ops::Activation::relu); }
std::shared_ptr<Activation> relu6() { return std::make_shared<Activation>(ops::Activation::relu6); }

}  // namespace octet::nn
