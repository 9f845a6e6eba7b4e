#include "cmd/support/scratch_folder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace coracle::cmd {

Result<std::unique_ptr<ScratchFolder>> ScratchFolder::Make() {
  const char* const parent = std::getenv("TMPDIR");
  std::string path = fmt::format("{}/coracle-XXXXXX", parent != nullptr ? parent : "/tmp");
  if (mkdtemp(path.data()) == nullptr) {
    return Error{Code::kUnavailable,
                 fmt::format("cannot make a folder like {}: {}; set TMPDIR to one with room", path,
                             std::strerror(errno))};
  }
  return std::unique_ptr<ScratchFolder>(new ScratchFolder(std::move(path)));
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace coracle::cmd
