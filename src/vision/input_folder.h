// A folder of inputs that a user named: one file a prediction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/shape.h"
#include "vision/preprocess.h"

namespace coracle::vision {

/// More files than this in one folder are refused.
inline constexpr size_t kInputFilesMax = 100'000;

/// True for a name that ends like a tensor's: .npy or .raw.
bool HasTensorName(std::string_view path);
/// True for a tensor's or an image's (HasImageName).
bool HasInputName(std::string_view path);

/// The paths of the folder's files, in the order of their names: images (HasImageName), .npy and
/// .raw. Nothing is passed over: any other entry is an error. Errors: kNotFound; kInvalidArgument
/// (no folder, an empty one, or an entry that is no input); kUnsupported (too many); kUnavailable.
Result<std::vector<std::string>> ListInputFolder(const std::string& folder);

/// The file's elements for an input of `shape`, whole: an image through `preprocess`, a .npy or
/// .raw tensor as it is. Errors: as LoadImage, Preprocess::Fill and NpyReader; kInvalidArgument (an
/// image without preprocessing; another shape, or no float32).
Result<std::vector<float>> ReadInputFile(const std::string& path, const Preprocess& preprocess,
                                         const Shape& shape);

}  // namespace coracle::vision
