// What is known without ONNX's libraries, so that a build without them answers with a line and a hint.
#include "quant/onnx/profiles.h"

#include "core/error.h"
#include "quant/onnx/export.h"

namespace octet::quant {
namespace {

void require_build() {
  if (!has_onnx())
    fail("onnx", "this build has no ONNX",
         "install libonnx-dev, libprotobuf-dev and protobuf-compiler (Debian's names) and configure again");
}

}  // namespace

bool has_onnx() { return OCTET_WITH_ONNX != 0; }

OnnxProfile profile_of(const std::string& scheme) {
  if (scheme == "octet" || scheme == "float") return {.is_unsigned = true};
  if (scheme == "tensorrt") return {.is_unsigned = false};
  if (scheme == "paddle")
    fail("onnx", "scheme paddle rounds half away from zero, which ONNX's QuantizeLinear cannot say",
         "fine-tune with --scheme octet or tensorrt; safetensors and onnx-fp32 know every scheme");
  fail("onnx", fmt::format("no profile for scheme '{}'", scheme), "octet, tensorrt and float have one");
}

void require_onnx_profile(const std::string& scheme) {
  require_build();
  profile_of(scheme);
}

#if !OCTET_WITH_ONNX
OnnxReport export_onnx(const std::string&, const engine::Graph&) {
  require_build();
  return {};
}
#endif

}  // namespace octet::quant
