#include "emulator/epcrun/program.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <sstream>
#include <string_view>

#include "emulator/epcrun/descriptor.h"

namespace coracle::epc {
namespace {

constexpr uint32_t kInterpretersMax = 4;  // the kernel follows five `#!` lines
constexpr uint64_t kProgramHeadersMax = 512;
constexpr size_t kInterpreterLineMax = 256;

bool IsExecutableFile(const std::string& path) {
  struct stat status = {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

/// Bytes of the file at `offset`, fewer at its end.
std::string ReadAt(int fd, uint64_t offset, size_t bytes) {
  std::string text(bytes, '\0');
  const ssize_t got = pread(fd, text.data(), bytes, static_cast<off_t>(offset));
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

Error Refuse(const std::string& path, std::string_view why) {
  return Error{Code::kUnsupported, fmt::format("{}: {}", path, why)};
}

/// Refuses a program that would start with more privileges than its caller has: the loader then
/// ignores LD_PRELOAD (secure-execution mode, ld.so(8)).
Status CheckPrivileges(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return Refuse(path, std::strerror(errno));
  const bool other_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid();
  const bool other_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != getegid();
  if (other_user || other_group) {
    return Refuse(path,
                  "is set-user-ID or set-group-ID, so the loader preloads nothing into it; run a "
                  "copy without that bit, or as its owner");
  }
  // Root runs them without secure-execution mode.
  if (getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    return Refuse(path,
                  "has file capabilities, so the loader preloads nothing into it; run a copy "
                  "without them, or as root");
  }
  return {};
}

template <typename Header>
bool Parse(const std::string& text, Header& header) {
  if (text.size() < sizeof header) return false;
  std::memcpy(&header, text.data(), sizeof header);
  return true;
}

/// The path in PT_INTERP; empty if the program has none.
Result<std::string> LoaderOf(const std::string& path, int fd, const Elf64_Ehdr& elf) {
  if (elf.e_phnum > kProgramHeadersMax || elf.e_phentsize != sizeof(Elf64_Phdr)) {
    return Error{Code::kPermissionDenied, fmt::format("{}: its ELF header is damaged", path)};
  }
  for (uint64_t i = 0; i < elf.e_phnum; ++i) {
    Elf64_Phdr part = {};
    if (!Parse(ReadAt(fd, elf.e_phoff + i * sizeof part, sizeof part), part)) break;
    if (part.p_type != PT_INTERP) continue;
    const std::string text =
        ReadAt(fd, part.p_offset, std::min<uint64_t>(part.p_filesz, kInterpreterLineMax));
    return std::string(text.c_str());
  }
  return std::string();
}

Status CheckElf(const std::string& path, int fd, const Elf64_Ehdr& elf) {
  if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != EM_X86_64) {
    return Refuse(path, "is not a 64-bit x86-64 program; epcrun runs no others");
  }
  TRY_ASSIGN(const std::string loader, LoaderOf(path, fd, elf));
  if (loader.empty()) {
    return Refuse(path,
                  "is statically linked, so nothing can be preloaded into it; link it "
                  "dynamically (without -static)");
  }
  if (std::filesystem::path(loader).filename() != "ld-linux-x86-64.so.2") {
    return Refuse(path, fmt::format("is loaded by {}; epcrun knows glibc's loader only, so build "
                                    "it against glibc",
                                    loader));
  }
  return CheckPrivileges(path);
}

/// The words of "#! /usr/bin/env -S python3 x": at most two, as the kernel splits them.
std::vector<std::string> InterpreterWords(std::string_view line) {
  line =
      line.substr(2, line.find('\n') == std::string_view::npos ? line.npos : line.find('\n') - 2);
  const auto trim = [](std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return std::string_view();
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  };
  line = trim(line);
  const size_t space = line.find_first_of(" \t");
  std::vector<std::string> words = {std::string(line.substr(0, space))};
  if (space != std::string_view::npos) words.emplace_back(trim(line.substr(space)));
  return words;
}

/// Of `env`'s arguments the program: the first word that is neither an option nor an assignment
/// (-S gives several words in one argument).
std::string StartedByEnv(std::span<const std::string> arguments) {
  for (const std::string& argument : arguments) {
    std::istringstream words(argument);
    for (std::string word; words >> word;) {
      if (!word.starts_with('-') && word.find('=') == std::string::npos) return word;
    }
  }
  return {};
}

Status CheckDepth(const std::string& path, std::span<const std::string> arguments, uint32_t depth) {
  if (depth > kInterpretersMax) return Refuse(path, "has too many interpreters");
  if (!Exists(path)) {
    return Error{Code::kNotFound, fmt::format("{}: an interpreter that is not there", path)};
  }
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return Refuse(path, "cannot be read, so epcrun cannot tell whether it would run inside");
  }
  const std::string start = ReadAt(fd.get(), 0, kInterpreterLineMax);
  if (start.starts_with("#!")) {
    const std::vector<std::string> words = InterpreterWords(start);
    return CheckDepth(words[0], std::span(words).subspan(1), depth + 1);
  }
  Elf64_Ehdr elf = {};
  if (!Parse(start, elf) || std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0) {
    return Error{Code::kPermissionDenied,
                 fmt::format("{}: neither an ELF program nor a script with a #! line", path)};
  }
  TRY(CheckElf(path, fd.get(), elf));
  if (std::filesystem::path(path).filename() != "env") return {};
  const Result<std::string> next = FindProgram(StartedByEnv(arguments));
  return next.ok() ? CheckDepth(*next, {}, depth + 1) : Status();
}

}  // namespace

Result<std::string> FindProgram(const std::string& name) {
  if (name.empty()) return Error{Code::kNotFound, "the program's name is empty"};
  if (name.find('/') != std::string::npos) {
    if (IsExecutableFile(name)) return name;
    if (!Exists(name)) return Error{Code::kNotFound, fmt::format("{}: not found", name)};
    return Error{Code::kPermissionDenied, fmt::format("{}: not an executable file", name)};
  }
  const char* const variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "/bin:/usr/bin" : variable;
  bool seen = false;
  for (;;) {
    const size_t colon = folders.find(':');
    const std::string folder(folders.substr(0, colon));
    const std::string path = (folder.empty() ? "." : folder) + "/" + name;
    if (IsExecutableFile(path)) return path;
    seen = seen || Exists(path);
    if (colon == std::string_view::npos) break;
    folders.remove_prefix(colon + 1);
  }
  if (seen) {
    return Error{Code::kPermissionDenied, fmt::format("{}: in PATH, but not executable", name)};
  }
  return Error{Code::kNotFound, fmt::format("{}: not found in PATH", name)};
}

Status CheckProgram(const std::string& path, const std::vector<std::string>& arguments) {
  return CheckDepth(path, std::span(arguments).subspan(1), 0);
}

Result<std::string> FindLibrary() {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::filesystem::path folder = self.parent_path();
  const std::array<std::filesystem::path, 2> places = {
      folder / "libepcrun.so", folder.parent_path() / EPCRUN_LIBRARY_FOLDER / "libepcrun.so"};
  for (const std::filesystem::path& place : places) {
    if (failed || !Exists(place)) continue;
    // The loader splits LD_PRELOAD at both.
    if (place.string().find_first_of(": ") != std::string::npos) {
      return Error{Code::kUnavailable, fmt::format("{}: LD_PRELOAD allows no spaces and colons in "
                                                   "a path: install epcrun elsewhere",
                                                   place.string())};
    }
    return place.string();
  }
  return Error{Code::kUnavailable,
               fmt::format("libepcrun.so is neither beside epcrun in {} nor in ../{}: install both",
                           folder.string(), EPCRUN_LIBRARY_FOLDER)};
}

}  // namespace coracle::epc
