#include "characterize/program/target_program.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace coracle::characterize {
namespace {

bool IsRunnableFile(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::string MachineName(uint16_t machine) {
  switch (machine) {
    case EM_386:
      return "32-bit x86";
    case EM_AARCH64:
      return "64-bit ARM";
    case EM_ARM:
      return "32-bit ARM";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "64-bit PowerPC";
    case EM_S390:
      return "S/390";
    default:
      return fmt::format("machine {}", machine);
  }
}

Error Unsupported(const std::string& path, std::string_view what) {
  return Error{Code::kUnsupported, fmt::format("{}: {}", path, what)};
}

/// The first line of a script without its "#!".
std::string InterpreterOf(std::string_view begin) {
  begin.remove_prefix(2);
  begin = begin.substr(0, begin.find('\n'));
  begin.remove_prefix(std::min(begin.find_first_not_of(" \t"), begin.size()));
  return std::string(begin);
}

}  // namespace

Result<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "/usr/bin:/bin";
  while (true) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    std::string candidate = fmt::format("{}/{}", folder.empty() ? "." : folder, name);
    if (IsRunnableFile(candidate)) return candidate;
    if (folder.size() == folders.size()) break;
    folders.remove_prefix(folder.size() + 1);
  }
  return Error{Code::kNotFound, fmt::format("{}: there is no such program in PATH", name)};
}

Status CheckProgram(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return Error{errno == EACCES ? Code::kPermissionDenied : Code::kNotFound,
                 fmt::format("{}: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(status.st_mode)) return Unsupported(path, "not a file, hence no program");
  if (::access(path.c_str(), X_OK) != 0) {
    return Error{Code::kPermissionDenied, fmt::format("{}: it may not be executed", path)};
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) {
    return Error{Code::kPermissionDenied, fmt::format("{}: {}", path, std::strerror(errno))};
  }
  char begin[256] = {};
  const size_t bytes = std::fread(begin, 1, sizeof(begin), file.get());
  if (bytes >= 2 && begin[0] == '#' && begin[1] == '!') {
    return Unsupported(path,
                       fmt::format("a script; trace its interpreter: coracle characterize -- {} {}",
                                   InterpreterOf({begin, bytes}), path));
  }
  Elf64_Ehdr header{};
  if (bytes < sizeof(header) || std::memcmp(begin, ELFMAG, SELFMAG) != 0) {
    return Unsupported(path, "not a program of Linux (no ELF file)");
  }
  std::memcpy(&header, begin, sizeof(header));
  if (header.e_machine != EM_X86_64 || header.e_ident[EI_CLASS] != ELFCLASS64) {
    return Unsupported(path, fmt::format("a program for {}; only x86-64 can be traced",
                                         MachineName(header.e_machine)));
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    return Unsupported(path, "an ELF file, but not a program");
  }
  return {};
}

}  // namespace coracle::characterize
