#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "npy_file.h"
#include "ort_api.h"

namespace coracle::reference {

/// One input as the model declares it.
struct OrtInputInfo {
  std::string name;
  OrtElementType element_type = OrtElementType::kUndefined;
  std::vector<int64_t> shape;  // -1 where the model leaves a dimension open
};

/// One output, copied out of the engine.
struct OrtOutput {
  std::string name;
  NpyArray array;
};

/// A model loaded by an ONNX Runtime that is opened with dlopen. Sequential execution, every graph
/// optimisation, one thread between operators and `thread_count` inside them. Lives to the end of
/// the program: the engine is never unloaded. One thread. Every method ends the program if the
/// engine reports an error.
class OrtModel {
 public:
  OrtModel(const std::string& library_path, const std::string& model_path, int thread_count);
  OrtModel(const OrtModel&) = delete;
  OrtModel& operator=(const OrtModel&) = delete;

  const std::vector<OrtInputInfo>& inputs() const { return inputs_; }

  /// Makes input `index` read from `array`, which must outlive every Run.
  /// Requires: index < inputs().size().
  void BindInput(size_t index, NpyArray& array);

  /// Computes every output once; returns the milliseconds of that alone. Requires: every input is
  /// bound.
  double Run();

  /// The outputs of the last Run. Requires: Run has been called.
  std::vector<OrtOutput> CopyOutputs() const;

 private:
  void Check(OrtStatus* status, const char* what) const;
  void ReadNames();
  OrtInputInfo ReadInputInfo(size_t index) const;

  const OrtApi* api_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_info_ = nullptr;
  std::vector<OrtInputInfo> inputs_;
  std::vector<std::string> output_names_;
  std::vector<OrtValue*> input_values_;
  std::vector<OrtValue*> output_values_;
};

/// The .npy type that holds `element_type`. Ends the program, naming `value_name`, if there is
/// none.
NpyType NpyTypeOf(OrtElementType element_type, const std::string& value_name);

}  // namespace coracle::reference
