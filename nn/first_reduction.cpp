#include "core/error.h"
#include "nn/models.h"

namespace octet::nn {

Conv2d& first_reduction(Module& mobilenet) {
  for (const auto& [path, module] : mobilenet.named_modules())
    if (path == "blocks.1.dw.conv") return dynamic_cast<Conv2d&>(*module);
  fail("first_reduction", mobilenet.kind() + " has no blocks.1.dw.conv", "give a MobileNet");
}

}  // namespace octet::nn
