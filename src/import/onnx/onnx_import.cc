#include "import/onnx/onnx_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <filesystem>

#include "import/mapped_file.h"
#include "import/onnx/operators.h"
#include "import/onnx/walker.h"

namespace coracle::import {
namespace {

Result<std::shared_ptr<const onnx::ModelProto>> Parse(Bytes model) {
  if (model.size() > kOnnxMessageBytesMax) {
    return Error{Code::kUnsupported,
                 fmt::format("{} bytes, at most {}; keep the weights in external data files",
                             model.size(), kOnnxMessageBytesMax)};
  }
  // The library writes to stderr otherwise; the error returned here is all that a user needs.
  const google::protobuf::LogSilencer silence;
  google::protobuf::io::ArrayInputStream array(model.data(), static_cast<int>(model.size()));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(static_cast<int>(kOnnxMessageBytesMax));
  auto message = std::make_shared<onnx::ModelProto>();
  if (!message->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return Error{Code::kMalformed, "is not an ONNX model, or was cut short"};
  }
  if (!message->has_graph() || message->opset_import_size() == 0) {
    return Error{Code::kMalformed, "is not an ONNX model: it holds no graph or no operator set"};
  }
  return std::shared_ptr<const onnx::ModelProto>(std::move(message));
}

Result<ImportedModel> Prefixed(const std::string& path, Result<ImportedModel> result) {
  if (result.ok()) return result;
  return Error{result.error().code, fmt::format("{}: {}", path, result.error().message)};
}

}  // namespace

Result<ImportedModel> ImportOnnxBytes(Bytes model, const std::string& directory,
                                      const OnnxOptions& options) {
  TRY_ASSIGN(auto message, Parse(model));
  OnnxWalker walker(message, directory, model.size(), options);
  ImportedModel imported;
  TRY_ASSIGN(imported.graph, walker.Run());
  return imported;
}

Result<ImportedModel> ImportOnnx(const std::string& path, const OnnxOptions& options) {
  TRY_ASSIGN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::filesystem::path directory = parent.empty() ? std::filesystem::path(".") : parent;
  return Prefixed(path, ImportOnnxBytes(file->bytes(), directory.string(), options));
}

std::string SupportedOnnxOperators() {
  std::vector<std::string_view> names = OnnxOperatorNames();
  for (const std::string_view own : {"Constant", "If", "Loop"}) names.push_back(own);
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace coracle::import
