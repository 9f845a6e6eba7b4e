#include "ort_model.h"

#include <dlfcn.h>

#include <array>
#include <chrono>
#include <cstring>

#include "fail.h"

namespace coracle::reference {
namespace {

struct TypePair {
  OrtElementType ort;
  NpyType npy;
};

constexpr std::array kTypePairs = {
    TypePair{OrtElementType::kFloat32, NpyType::kFloat32},
    TypePair{OrtElementType::kFloat64, NpyType::kFloat64},
    TypePair{OrtElementType::kFloat16, NpyType::kFloat16},
    TypePair{OrtElementType::kInt64, NpyType::kInt64},
    TypePair{OrtElementType::kInt32, NpyType::kInt32},
    TypePair{OrtElementType::kInt16, NpyType::kInt16},
    TypePair{OrtElementType::kInt8, NpyType::kInt8},
    TypePair{OrtElementType::kUint16, NpyType::kUint16},
    TypePair{OrtElementType::kUint8, NpyType::kUint8},
    TypePair{OrtElementType::kBool, NpyType::kBool},
};

OrtElementType OrtTypeOf(NpyType type) {
  for (const TypePair& pair : kTypePairs) {
    if (pair.npy == type) return pair.ort;
  }
  return OrtElementType::kUndefined;
}

const OrtApi* LoadOrtApi(const std::string& library_path) {
  void* const library = dlopen(library_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) Fail("{}: cannot load: {}", library_path, dlerror());
  const auto get_api_base =
      reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (get_api_base == nullptr) Fail("{}: no OrtGetApiBase; not ONNX Runtime", library_path);
  const OrtApi* const api = get_api_base()->GetApi(kOrtApiVersion);
  if (api == nullptr) Fail("{}: does not serve interface version {}", library_path, kOrtApiVersion);
  return api;
}

}  // namespace

NpyType NpyTypeOf(OrtElementType element_type, const std::string& value_name) {
  for (const TypePair& pair : kTypePairs) {
    if (pair.ort == element_type) return pair.npy;
  }
  Fail("'{}' has ONNX element type {}, which .npy files here do not hold", value_name,
       static_cast<int>(element_type));
}

OrtModel::OrtModel(const std::string& library_path, const std::string& model_path, int thread_count)
    : api_(LoadOrtApi(library_path)) {
  OrtEnv* env = nullptr;
  OrtSessionOptions* options = nullptr;
  Check(api_->CreateEnv(OrtLoggingLevel::kError, "ort_host", &env), "environment");
  Check(api_->CreateSessionOptions(&options), "session options");
  Check(api_->SetSessionExecutionMode(options, OrtExecutionMode::kSequential), "execution mode");
  Check(api_->SetSessionGraphOptimizationLevel(options, OrtOptimizationLevel::kAll),
        "optimisation");
  Check(api_->SetIntraOpNumThreads(options, thread_count), "threads");
  Check(api_->SetInterOpNumThreads(options, 1), "threads");
  Check(api_->CreateSession(env, model_path.c_str(), options, &session_), model_path.c_str());
  api_->ReleaseSessionOptions(options);
  Check(api_->CreateCpuMemoryInfo(OrtAllocatorType::kArena, OrtMemType::kDefault, &memory_info_),
        "memory info");
  ReadNames();
}

void OrtModel::Check(OrtStatus* status, const char* what) const {
  if (status == nullptr) return;
  Fail("onnxruntime: {}: {}", what, api_->GetErrorMessage(status));
}

void OrtModel::ReadNames() {
  size_t input_count = 0;
  size_t output_count = 0;
  OrtAllocator* allocator = nullptr;
  Check(api_->SessionGetInputCount(session_, &input_count), "inputs");
  Check(api_->SessionGetOutputCount(session_, &output_count), "outputs");
  Check(api_->GetAllocatorWithDefaultOptions(&allocator), "allocator");
  for (size_t index = 0; index < input_count; ++index) inputs_.push_back(ReadInputInfo(index));
  for (size_t index = 0; index < output_count; ++index) {
    char* name = nullptr;
    Check(api_->SessionGetOutputName(session_, index, allocator, &name), "output name");
    output_names_.emplace_back(name);
    Check(api_->AllocatorFree(allocator, name), "output name");
  }
  input_values_.resize(input_count);
  output_values_.resize(output_count);
}

OrtInputInfo OrtModel::ReadInputInfo(size_t index) const {
  OrtInputInfo info;
  OrtAllocator* allocator = nullptr;
  char* name = nullptr;
  Check(api_->GetAllocatorWithDefaultOptions(&allocator), "allocator");
  Check(api_->SessionGetInputName(session_, index, allocator, &name), "input name");
  info.name = name;
  Check(api_->AllocatorFree(allocator, name), "input name");

  OrtTypeInfo* type_info = nullptr;
  const OrtTensorTypeAndShapeInfo* tensor_info = nullptr;
  Check(api_->SessionGetInputTypeInfo(session_, index, &type_info), info.name.c_str());
  Check(api_->CastTypeInfoToTensorInfo(type_info, &tensor_info), info.name.c_str());
  if (tensor_info == nullptr) Fail("input '{}' is not a tensor", info.name);
  size_t rank = 0;
  Check(api_->GetTensorElementType(tensor_info, &info.element_type), info.name.c_str());
  Check(api_->GetDimensionsCount(tensor_info, &rank), info.name.c_str());
  info.shape.resize(rank);
  Check(api_->GetDimensions(tensor_info, info.shape.data(), rank), info.name.c_str());
  api_->ReleaseTypeInfo(type_info);
  return info;
}

void OrtModel::BindInput(size_t index, NpyArray& array) {
  const std::string& name = inputs_[index].name;
  if (input_values_[index] != nullptr) api_->ReleaseValue(input_values_[index]);
  Check(api_->CreateTensorWithDataAsOrtValue(memory_info_, array.bytes.data(), array.bytes.size(),
                                             array.shape.data(), array.shape.size(),
                                             OrtTypeOf(array.type), &input_values_[index]),
        name.c_str());
}

double OrtModel::Run() {
  std::vector<const char*> input_names;
  std::vector<const char*> output_names;
  for (const OrtInputInfo& input : inputs_) input_names.push_back(input.name.c_str());
  for (const std::string& name : output_names_) output_names.push_back(name.c_str());
  for (OrtValue*& value : output_values_) {
    if (value != nullptr) api_->ReleaseValue(value);
    value = nullptr;
  }
  const auto start = std::chrono::steady_clock::now();
  OrtStatus* const status =
      api_->Run(session_, nullptr, input_names.data(), input_values_.data(), input_values_.size(),
                output_names.data(), output_values_.size(), output_values_.data());
  const auto end = std::chrono::steady_clock::now();
  Check(status, "run");
  return std::chrono::duration<double, std::milli>(end - start).count();
}

std::vector<OrtOutput> OrtModel::CopyOutputs() const {
  std::vector<OrtOutput> outputs;
  for (size_t index = 0; index < output_values_.size(); ++index) {
    const std::string& name = output_names_[index];
    OrtValue* const value = output_values_[index];
    int is_tensor = 0;
    Check(api_->IsTensor(value, &is_tensor), name.c_str());
    if (is_tensor == 0) Fail("output '{}' is not a tensor", name);

    OrtTensorTypeAndShapeInfo* info = nullptr;
    OrtElementType element_type = OrtElementType::kUndefined;
    size_t rank = 0;
    void* data = nullptr;
    Check(api_->GetTensorTypeAndShape(value, &info), name.c_str());
    Check(api_->GetTensorElementType(info, &element_type), name.c_str());
    Check(api_->GetDimensionsCount(info, &rank), name.c_str());
    std::vector<int64_t> shape(rank);
    Check(api_->GetDimensions(info, shape.data(), rank), name.c_str());
    Check(api_->GetTensorMutableData(value, &data), name.c_str());
    api_->ReleaseTensorTypeAndShapeInfo(info);

    NpyArray array = MakeNpyArray(NpyTypeOf(element_type, name), std::move(shape));
    if (!array.bytes.empty()) std::memcpy(array.bytes.data(), data, array.bytes.size());
    outputs.push_back({name, std::move(array)});
  }
  return outputs;
}

}  // namespace coracle::reference
