// The inputs of a batch: the files of one folder.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace coracle::cmd {

/// More inputs than this in one folder are refused.
inline constexpr size_t kBatchInputsMax = 10'000'000;

struct BatchFolder {
  std::string path;                ///< absolute, without a slash at its end
  std::vector<std::string> files;  ///< names within the folder, in the order of their bytes
  size_t passed_over = 0;          ///< other entries: folders, and files of other names
};

/// Everything that is no folder and whose name ends like an image, .npy or .raw; folders within are
/// not entered. Whether a file can be read is not asked here. Errors: kNotFound; kInvalidArgument
/// (no folder, or without inputs; a name that is not UTF-8, which no result could name);
/// kUnsupported (too many); kUnavailable.
Result<BatchFolder> ListBatchFolder(const std::string& folder);

}  // namespace coracle::cmd
