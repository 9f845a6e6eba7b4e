#include "vision/input_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "vision/image.h"
#include "vision/npy.h"

namespace coracle::vision {
namespace {

namespace fs = std::filesystem;

Result<std::vector<float>> ReadTensor(const std::string& path, const Shape& shape) {
  TRY_ASSIGN(const NpyReader reader,
             path.ends_with(".raw") ? NpyReader::OpenRaw(path, shape) : NpyReader::Open(path));
  if (reader.dtype() != DType::kFloat32) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("{} holds {}, but the input takes float32; save it with .astype(numpy.float32)",
                    path, DTypeName(reader.dtype()))};
  }
  if (!(reader.shape() == shape)) {
    return Error{Code::kInvalidArgument, fmt::format("{} holds {}, but the input takes {}", path,
                                                     reader.shape().ToString(), shape.ToString())};
  }
  std::vector<float> values(shape.Elements());
  TRY(reader.Read(0, values));
  return values;
}

}  // namespace

bool HasTensorName(std::string_view path) {
  return path.ends_with(".npy") || path.ends_with(".raw");
}

bool HasInputName(std::string_view path) { return HasImageName(path) || HasTensorName(path); }

Result<std::vector<std::string>> ListInputFolder(const std::string& folder) {
  std::error_code failure;
  if (!fs::exists(folder, failure)) {
    return Error{Code::kNotFound, fmt::format("{}: there is no such folder", folder)};
  }
  if (!fs::is_directory(folder, failure)) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} is not a folder; give one with an input a file", folder)};
  }
  std::vector<std::string> paths;
  fs::directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
    const std::string path = entry->path().string();
    std::error_code ignored;
    if (!entry->is_regular_file(ignored) || !HasInputName(path)) {
      return Error{Code::kInvalidArgument,
                   fmt::format("{} is no input: the folder may hold images (.jpg, .png, .bmp), "
                               ".npy and .raw files, and nothing else",
                               path)};
    }
    if (paths.size() == kInputFilesMax) {
      return Error{Code::kUnsupported,
                   fmt::format("{} holds more than {} files; give fewer", folder, kInputFilesMax)};
    }
    paths.push_back(path);
  }
  if (failure) {
    return Error{Code::kUnavailable, fmt::format("cannot list {}: {}", folder, failure.message())};
  }
  if (paths.empty()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} is empty; put at least one image or .npy file there", folder)};
  }
  std::ranges::sort(paths);
  return paths;
}

Result<std::vector<float>> ReadInputFile(const std::string& path, const Preprocess& preprocess,
                                         const Shape& shape) {
  if (HasTensorName(path)) return ReadTensor(path, shape);
  if (preprocess.none()) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("{}: an image needs --preprocess; or give {} as .npy", path, shape.ToString())};
  }
  TRY_ASSIGN(const Image image, LoadImage(path));
  std::vector<float> values(shape.Elements());
  TRY(preprocess.Fill(image, shape.dims(), [&](uint64_t first, std::span<const float> piece) {
    std::ranges::copy(piece, values.begin() + static_cast<ptrdiff_t>(first));
  }));
  return values;
}

}  // namespace coracle::vision
