#include "cmd/support/batch_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "cmd/support/console.h"
#include "vision/input_folder.h"

namespace coracle::cmd {
namespace {

namespace fs = std::filesystem;

/// True if JSON can hold the name as it is.
bool IsUtf8(const std::string& name) {
  const std::string text = Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(text).get<std::string>() == name;
}

std::string WithoutSlash(const std::string& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  return path.string();
}

}  // namespace

Result<BatchFolder> ListBatchFolder(const std::string& folder) {
  std::error_code failure;
  if (!fs::exists(folder, failure)) {
    return Error{Code::kNotFound, fmt::format("{}: there is no such folder", folder)};
  }
  if (!fs::is_directory(folder, failure)) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} is not a folder; for one input there is `coracle run`", folder)};
  }
  BatchFolder found;
  found.path = WithoutSlash(folder);
  fs::directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
    std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (entry->is_directory(ignored) || !vision::HasInputName(name)) {
      ++found.passed_over;
      continue;
    }
    if (!IsUtf8(name)) {
      return Error{Code::kInvalidArgument,
                   fmt::format("{} holds a file whose name is not UTF-8; rename it", folder)};
    }
    if (found.files.size() == kBatchInputsMax) {
      return Error{Code::kUnsupported, fmt::format("{} holds more than {} inputs; divide them",
                                                   folder, kBatchInputsMax)};
    }
    found.files.push_back(std::move(name));
  }
  if (failure) {
    return Error{Code::kUnavailable, fmt::format("cannot list {}: {}", folder, failure.message())};
  }
  if (found.files.empty()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} holds no inputs (images, .npy or .raw files)", folder)};
  }
  std::ranges::sort(found.files);
  return found;
}

}  // namespace coracle::cmd
