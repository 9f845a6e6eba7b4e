// TestModel: small ONNX models, made in tests through the protobuf classes.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "import/onnx/onnx_import.h"

namespace coracle::import {

class TestModel {
 public:
  explicit TestModel(int64_t opset = 13) {
    model_.set_ir_version(7);
    auto* set = model_.add_opset_import();
    set->set_domain("");
    set->set_version(opset);
    model_.mutable_graph()->set_name("test");
  }

  /// A dimension of 0 is left open, under the name "N".
  TestModel& Input(const std::string& name, const std::vector<int64_t>& dims,
                   int32_t type = onnx::TensorProto::FLOAT) {
    auto* input = graph().add_input();
    input->set_name(name);
    auto* tensor = input->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    auto* shape = tensor->mutable_shape();
    for (const int64_t dim : dims) {
      if (dim == 0) {
        shape->add_dim()->set_dim_param("N");
      } else {
        shape->add_dim()->set_dim_value(dim);
      }
    }
    return *this;
  }

  TestModel& Floats(const std::string& name, const std::vector<int64_t>& dims,
                    const std::vector<float>& values) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t dim : dims) tensor.add_dims(dim);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return *this;
  }

  TestModel& Ints(const std::string& name, const std::vector<int64_t>& values) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::INT64);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    for (const int64_t value : values) tensor.add_int64_data(value);
    return *this;
  }

  /// A constant of another integer type (onnx::TensorProto::UINT8 and so on).
  TestModel& Integers(const std::string& name, int type, const std::vector<int64_t>& dims,
                      const std::vector<int64_t>& values) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const int64_t dim : dims) tensor.add_dims(dim);
    for (const int64_t value : values) tensor.add_int32_data(static_cast<int32_t>(value));
    return *this;
  }

  /// A node named after its first output. Attributes follow through the reference that it returns.
  onnx::NodeProto& Node(const std::string& type, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs) {
    onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(type);
    node.set_name("node_" + outputs[0]);
    for (const std::string& input : inputs) node.add_input(input);
    for (const std::string& output : outputs) node.add_output(output);
    return node;
  }

  TestModel& Output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }

  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx::ModelProto& proto() { return model_; }

  std::string Serialized() const { return model_.SerializeAsString(); }

  Result<ImportedModel> Import(const OnnxOptions& options = {},
                               const std::string& directory = "") const {
    const std::string bytes = Serialized();
    return ImportOnnxBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), directory,
                           options);
  }

 private:
  onnx::ModelProto model_;
};

inline void SetInt(onnx::NodeProto& node, const std::string& name, int64_t value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

inline void SetFloat(onnx::NodeProto& node, const std::string& name, float value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_f(value);
}

inline void SetString(onnx::NodeProto& node, const std::string& name, const std::string& value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::STRING);
  attribute->set_s(value);
}

inline void SetInts(onnx::NodeProto& node, const std::string& name,
                    const std::vector<int64_t>& values) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute->add_ints(value);
}

}  // namespace coracle::import
