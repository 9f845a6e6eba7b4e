#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace coracle::reference {

// The part of ONNX Runtime's C interface that ort_host calls, declared here because the library is
// shipped without its header. Spec: include/onnxruntime/core/session/onnxruntime_c_api.h, `struct
// OrtApi`. The order of its members is frozen by version of the interface; everything below is of
// version 1, which has 102 members, and every later library still serves version 1.
inline constexpr uint32_t kOrtApiVersion = 1;

struct OrtEnv;
struct OrtStatus;
struct OrtMemoryInfo;
struct OrtSession;
struct OrtValue;
struct OrtRunOptions;
struct OrtTypeInfo;
struct OrtTensorTypeAndShapeInfo;
struct OrtSessionOptions;
struct OrtAllocator;

enum class OrtLoggingLevel : int { kVerbose, kInfo, kWarning, kError, kFatal };
enum class OrtExecutionMode : int { kSequential = 0, kParallel = 1 };
enum class OrtOptimizationLevel : int { kNone = 0, kBasic = 1, kExtended = 2, kAll = 99 };
enum class OrtAllocatorType : int { kDevice = 0, kArena = 1 };
enum class OrtMemType : int { kDefault = 0 };
enum class OrtElementType : int {
  kUndefined,
  kFloat32,
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kInt32,
  kInt64,
  kString,
  kBool,
  kFloat16,
  kFloat64,
};

/// Members that are not called, kept for their place.
template <size_t kCount>
using OrtUnusedSlots = std::array<void*, kCount>;

/// Each call returns null on success, else a status to be read with GetErrorMessage and released.
struct OrtApi {
  OrtUnusedSlots<2> slots_0;
  const char* (*GetErrorMessage)(const OrtStatus*);
  OrtStatus* (*CreateEnv)(OrtLoggingLevel, const char* log_id, OrtEnv** out);
  OrtUnusedSlots<3> slots_4;
  OrtStatus* (*CreateSession)(const OrtEnv*, const char* path, const OrtSessionOptions*,
                              OrtSession** out);
  OrtUnusedSlots<1> slots_8;
  OrtStatus* (*Run)(OrtSession*, const OrtRunOptions*, const char* const* input_names,
                    const OrtValue* const* inputs, size_t input_count,
                    const char* const* output_names, size_t output_count, OrtValue** outputs);
  OrtStatus* (*CreateSessionOptions)(OrtSessionOptions** out);
  OrtUnusedSlots<2> slots_11;
  OrtStatus* (*SetSessionExecutionMode)(OrtSessionOptions*, OrtExecutionMode);
  OrtUnusedSlots<9> slots_14;
  OrtStatus* (*SetSessionGraphOptimizationLevel)(OrtSessionOptions*, OrtOptimizationLevel);
  OrtStatus* (*SetIntraOpNumThreads)(OrtSessionOptions*, int);
  OrtStatus* (*SetInterOpNumThreads)(OrtSessionOptions*, int);
  OrtUnusedSlots<4> slots_26;
  OrtStatus* (*SessionGetInputCount)(const OrtSession*, size_t* out);
  OrtStatus* (*SessionGetOutputCount)(const OrtSession*, size_t* out);
  OrtUnusedSlots<1> slots_32;
  OrtStatus* (*SessionGetInputTypeInfo)(const OrtSession*, size_t index, OrtTypeInfo** out);
  OrtUnusedSlots<2> slots_34;
  OrtStatus* (*SessionGetInputName)(const OrtSession*, size_t index, OrtAllocator*, char** out);
  OrtStatus* (*SessionGetOutputName)(const OrtSession*, size_t index, OrtAllocator*, char** out);
  OrtUnusedSlots<11> slots_38;
  OrtStatus* (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void* data, size_t data_bytes,
                                               const int64_t* shape, size_t rank, OrtElementType,
                                               OrtValue** out);
  OrtStatus* (*IsTensor)(const OrtValue*, int* out);
  OrtStatus* (*GetTensorMutableData)(OrtValue*, void** out);
  OrtUnusedSlots<3> slots_52;
  OrtStatus* (*CastTypeInfoToTensorInfo)(const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo** out);
  OrtUnusedSlots<4> slots_56;
  OrtStatus* (*GetTensorElementType)(const OrtTensorTypeAndShapeInfo*, OrtElementType* out);
  OrtStatus* (*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo*, size_t* out);
  OrtStatus* (*GetDimensions)(const OrtTensorTypeAndShapeInfo*, int64_t* dimensions, size_t rank);
  OrtUnusedSlots<2> slots_63;
  OrtStatus* (*GetTensorTypeAndShape)(const OrtValue*, OrtTensorTypeAndShapeInfo** out);
  OrtUnusedSlots<3> slots_66;
  OrtStatus* (*CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo** out);
  OrtUnusedSlots<6> slots_70;
  OrtStatus* (*AllocatorFree)(OrtAllocator*, void*);
  OrtUnusedSlots<1> slots_77;
  OrtStatus* (*GetAllocatorWithDefaultOptions)(OrtAllocator** out);
  OrtUnusedSlots<13> slots_79;
  void (*ReleaseEnv)(OrtEnv*);
  void (*ReleaseStatus)(OrtStatus*);
  void (*ReleaseMemoryInfo)(OrtMemoryInfo*);
  void (*ReleaseSession)(OrtSession*);
  void (*ReleaseValue)(OrtValue*);
  void (*ReleaseRunOptions)(OrtRunOptions*);
  void (*ReleaseTypeInfo)(OrtTypeInfo*);
  void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo*);
  void (*ReleaseSessionOptions)(OrtSessionOptions*);
  void (*ReleaseCustomOpDomain)(void*);
};
static_assert(offsetof(OrtApi, Run) == 9 * sizeof(void*));
static_assert(offsetof(OrtApi, SessionGetInputCount) == 30 * sizeof(void*));
static_assert(offsetof(OrtApi, GetTensorTypeAndShape) == 65 * sizeof(void*));
static_assert(offsetof(OrtApi, ReleaseEnv) == 92 * sizeof(void*));
static_assert(sizeof(OrtApi) == 102 * sizeof(void*));

/// What `OrtGetApiBase`, the library's one entry point, returns.
struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

}  // namespace coracle::reference
