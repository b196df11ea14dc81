// An ONNX file in ONNX Runtime, beside logits of ours: runs verify_onnx.py, which is compiled in, in some Python.
#pragma once
#include <string>

#include "core/tensor.h"

namespace octet::app {

struct OnnxCheck {
  std::string skipped;  ///< why nothing was compared; empty when it was
  std::string runtime;  ///< "onnxruntime 1.32.0"
  bool bit_equal = false;
  double classes_equal = 0, largest_difference = 0;
};

/// The Python that checks run in: `given`, else $OCTET_PYTHON, else build/python beside this program's build, else
/// "python3".
std::string find_python(const std::string& given);

/// `pictures` u8 N,H,W,C pixels, or f32 as the net reads them; `logits` f32 N,classes. Sets `skipped` when there is no
/// such Python or it has no ONNX Runtime; throws Error, with the runtime's words, when it cannot run the file.
OnnxCheck check_onnx(const std::string& python, const std::string& onnx_file, const Tensor& pictures,
                     const Tensor& logits);

}  // namespace octet::app
