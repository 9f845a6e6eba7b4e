// The ONNX importer: a .onnx file becomes a logical graph of Coracle's operators.
//
// Input: not trusted (a model may come from anywhere); every count, size and name is checked, and a
// bad file gives one line that says what is wrong. Constants are evaluated while importing (shapes
// are static once the input shapes are fixed), so Shape, Gather, If and the like leave no node.
// Spec: github.com/onnx/onnx, docs/IR.md and docs/Operators.md. Where the specification leaves
// room, what onnxruntime computes decides.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "import/imported_model.h"

namespace coracle::import {

struct OnnxOptions {
  /// Shapes of inputs by name (`--shape NAME=1x3x224x224`). Required where the file leaves a
  /// dimension open, and must agree with the dimensions that it fixes.
  std::map<std::string, std::vector<int64_t>> shapes;
};

/// The operator set versions that are understood. Before 7, broadcasting along a stated axis is
/// refused.
inline constexpr int64_t kOnnxOpsetMin = 1;
inline constexpr int64_t kOnnxOpsetMax = 20;
/// Protobuf cannot hold more in one message; larger models keep their weights in external files.
inline constexpr uint64_t kOnnxMessageBytesMax = 0x7FFF'FFFF;
/// An initialiser with the name of a graph input makes that input a constant, as ONNX has it.
///
/// Errors: kNotFound, kPermissionDenied, kUnavailable (the file); kMalformed (not ONNX, or it
/// contradicts itself); kInvalidArgument (options.shapes); kUnsupported (operator, attribute, type
/// or size that Coracle has not). Every message starts with `path`.
Result<ImportedModel> ImportOnnx(const std::string& path, const OnnxOptions& options);

/// The same from memory. `model` is copied where it is kept. `directory` is where external tensors
/// are looked for; empty: they are refused.
Result<ImportedModel> ImportOnnxBytes(Bytes model, const std::string& directory,
                                      const OnnxOptions& options);

/// Names of all operators that are understood, sorted, comma-separated.
std::string SupportedOnnxOperators();

}  // namespace coracle::import
