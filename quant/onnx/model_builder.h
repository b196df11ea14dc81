// An ONNX model in the making: names, initializers, nodes, attributes and the final check, over ONNX's protobuf classes.
#pragma once
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/shape.h"
#include "core/tensor.h"

namespace octet::quant {

class ModelBuilder {
 public:
  using Ints = std::vector<std::int64_t>;

  ModelBuilder();

  /// `wanted`, or where something is called so already, `wanted` with "#2", "#3" … behind.
  std::string unique_name(const std::string& wanted);

  /// The model's input: f32, rows of any number.
  void input(const std::string& name, const Ints& extent_per_row);
  /// The model's output: f32.
  void output(const std::string& name, const Ints& extent_per_row);

  /// Constants; return their names. `data` holds exactly the bytes of `shape`.
  std::string floats(const std::string& name, const Ints& shape, const std::vector<float>& data);
  std::string ints(const std::string& name, const Ints& shape, const std::vector<std::int32_t>& data);
  std::string bytes(const std::string& name, const Ints& shape, const std::vector<std::int8_t>& data);
  std::string byte(const std::string& name, std::int32_t value, bool is_unsigned);

  /// A node with one output, named by unique_name(`output`); attributes are added through the pointer, valid until the next node.
  std::string node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output);
  void attribute(const std::string& name, std::int64_t value);
  void attribute(const std::string& name, const Ints& values);

  /// Gives a node's output another name, which unique_name() has returned, wherever it stands.
  void rename(const std::string& from, const std::string& to);

  void metadata(const std::map<std::string, std::string>& entries);

  /// Runs ONNX's checker and strict shape inference; returns the file's bytes, the same for the same calls. Throws Error when the
  /// model is not valid or longer than protobuf's 2 GiB.
  std::string finish();

 private:
  std::string initializer(const std::string& name, const Ints& shape, ::onnx::TensorProto::DataType type,
                          const void* data, std::size_t count);
  ::onnx::AttributeProto& new_attribute(const std::string& name, ::onnx::AttributeProto::AttributeType type);

  ::onnx::ModelProto model_;
  std::set<std::string> names_;
  std::map<std::string, int> last_;  ///< per wanted name, the last number behind it
};

}  // namespace octet::quant
