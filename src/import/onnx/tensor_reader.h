// TensorReader: ONNX TensorProtos (initialisers, Constant attributes) as graph::Constants that view
// the parsed message, or the external file that holds the bytes.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "import/graph_builder.h"
#include "import/mapped_file.h"

namespace coracle::import {

/// Files with external weights that one model may name.
inline constexpr size_t kExternalFilesMax = 4096;

class TensorReader {
 public:
  /// `message` owns every tensor that will be read. External files are looked for in `directory`
  /// and below it only; empty: they are refused.
  TensorReader(std::shared_ptr<const onnx::ModelProto> message, std::string directory)
      : message_(std::move(message)), directory_(std::move(directory)) {}

  /// Errors: kMalformed for dimensions, byte counts or file ranges that do not fit one another;
  /// kUnsupported for element types that have no numbers; an external file's own errors.
  Result<ConstantPtr> Read(const onnx::TensorProto& tensor);

 private:
  Result<Bytes> ExternalBytes(const onnx::TensorProto& tensor, uint64_t expected,
                              std::shared_ptr<const void>& owner);
  Result<std::shared_ptr<const MappedFile>> OpenExternal(const std::string& location);

  std::shared_ptr<const onnx::ModelProto> message_;
  std::string directory_;
  std::map<std::string, std::shared_ptr<const MappedFile>> external_files_;
};

/// The element type of an ONNX type code. bfloat16 is read as float32. Errors: kUnsupported.
Result<DType> DTypeOfOnnx(int32_t data_type, std::string_view what);

}  // namespace coracle::import
