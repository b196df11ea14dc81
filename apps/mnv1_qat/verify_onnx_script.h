// verify_onnx.py as text, made by CMake.
#pragma once
#include <string>

namespace octet::app {

extern const std::string kVerifyOnnxScript;

}  // namespace octet::app
