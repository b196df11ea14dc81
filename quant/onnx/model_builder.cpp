#include "quant/onnx/model_builder.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <bit>
#include <limits>

#include "core/error.h"

namespace octet::quant {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data of a TensorProto is little endian");

constexpr int kOpset = 13, kIrVersion = 7;  // IR version 7 is the one of opset 13

void set_value(::onnx::ValueInfoProto& value, const std::string& name, const ModelBuilder::Ints& extent_per_row) {
  value.set_name(name);
  auto* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(::onnx::TensorProto::FLOAT);
  tensor->mutable_shape()->add_dim()->set_dim_param("N");
  for (std::int64_t extent : extent_per_row) tensor->mutable_shape()->add_dim()->set_dim_value(extent);
}

}  // namespace

ModelBuilder::ModelBuilder() {
  model_.set_ir_version(kIrVersion);
  model_.set_producer_name("octet");
  model_.set_producer_version(OCTET_VERSION);
  auto* opset = model_.add_opset_import();
  opset->set_domain("");
  opset->set_version(kOpset);
  model_.mutable_graph()->set_name("octet");
}

std::string ModelBuilder::unique_name(const std::string& wanted) {
  if (names_.insert(wanted).second) return wanted;
  int& number = last_.try_emplace(wanted, 1).first->second;
  std::string name;
  do name = fmt::format("{}#{}", wanted, ++number);
  while (!names_.insert(name).second);
  return name;
}

void ModelBuilder::input(const std::string& name, const Ints& extent_per_row) {
  set_value(*model_.mutable_graph()->add_input(), name, extent_per_row);
}
void ModelBuilder::output(const std::string& name, const Ints& extent_per_row) {
  set_value(*model_.mutable_graph()->add_output(), name, extent_per_row);
}

std::string ModelBuilder::initializer(const std::string& name, const Ints& shape, ::onnx::TensorProto::DataType type,
                                      const void* data, std::size_t count) {
  auto* tensor = model_.mutable_graph()->add_initializer();
  tensor->set_name(unique_name(name));
  tensor->set_data_type(type);
  for (std::int64_t extent : shape) tensor->add_dims(extent);
  tensor->set_raw_data(data, count);
  return tensor->name();
}

std::string ModelBuilder::floats(const std::string& name, const Ints& shape, const std::vector<float>& data) {
  return initializer(name, shape, ::onnx::TensorProto::FLOAT, data.data(), data.size() * sizeof(float));
}

std::string ModelBuilder::ints(const std::string& name, const Ints& shape, const std::vector<std::int32_t>& data) {
  return initializer(name, shape, ::onnx::TensorProto::INT32, data.data(), data.size() * sizeof(std::int32_t));
}

std::string ModelBuilder::bytes(const std::string& name, const Ints& shape, const std::vector<std::int8_t>& data) {
  return initializer(name, shape, ::onnx::TensorProto::INT8, data.data(), data.size());
}

std::string ModelBuilder::byte(const std::string& name, std::int32_t value, bool is_unsigned) {
  const auto one = static_cast<std::uint8_t>(value);
  return initializer(name, {}, is_unsigned ? ::onnx::TensorProto::UINT8 : ::onnx::TensorProto::INT8, &one, 1);
}

std::string ModelBuilder::node(const std::string& op, const std::vector<std::string>& inputs,
                               const std::string& output) {
  auto* node = model_.mutable_graph()->add_node();
  node->set_op_type(op);
  for (const std::string& input : inputs) node->add_input(input);
  const std::string name = unique_name(output);
  node->add_output(name);
  node->set_name(name);
  return name;
}

::onnx::AttributeProto& ModelBuilder::new_attribute(const std::string& name,
                                                    ::onnx::AttributeProto::AttributeType type) {
  auto* nodes = model_.mutable_graph()->mutable_node();
  auto* attribute = nodes->Mutable(nodes->size() - 1)->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return *attribute;
}

void ModelBuilder::attribute(const std::string& name, std::int64_t value) {
  new_attribute(name, ::onnx::AttributeProto::INT).set_i(value);
}

void ModelBuilder::attribute(const std::string& name, const Ints& values) {
  auto& attribute = new_attribute(name, ::onnx::AttributeProto::INTS);
  for (std::int64_t value : values) attribute.add_ints(value);
}

void ModelBuilder::rename(const std::string& from, const std::string& to) {
  for (auto& node : *model_.mutable_graph()->mutable_node()) {
    if (node.name() == from) node.set_name(to);
    for (std::string& name : *node.mutable_input())
      if (name == from) name = to;
    for (std::string& name : *node.mutable_output())
      if (name == from) name = to;
  }
}

void ModelBuilder::metadata(const std::map<std::string, std::string>& entries) {
  for (const auto& [key, value] : entries) {
    auto* entry = model_.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
}

std::string ModelBuilder::finish() {
  OCTET_CHECK(model_.ByteSizeLong() <= std::size_t{std::numeric_limits<std::int32_t>::max()}, "onnx",
              "the model has {} bytes, an ONNX file holds at most 2 GiB", model_.ByteSizeLong());
  try {
    ::onnx::checker::check_model(model_);
    ::onnx::ModelProto inferred = model_;
    ::onnx::shape_inference::InferShapes(inferred, ::onnx::OpSchemaRegistry::Instance(),
                                         ::onnx::ShapeInferenceOptions(true, 1));
  } catch (const std::exception& error) {
    fail("onnx", fmt::format("ONNX's checker refuses the model: {}", error.what()));
  }
  std::string bytes;
  {
    ::google::protobuf::io::StringOutputStream stream(&bytes);
    ::google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    OCTET_CHECK(model_.SerializeToCodedStream(&coded), "onnx", "protobuf could not write the model");
  }
  return bytes;
}

}  // namespace octet::quant
