#include "cmd/support/sealed_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "crypto/owner_key.h"
#include "host/posix/atomic_file.h"
#include "host/posix/blob.h"
#include "host/posix/entropy.h"
#include "host/posix/read_file.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it undeclared

namespace coracle::cmd {

Result<crypto::Key256> ReadOwnerKey(const std::string& key_path) {
  TRY_ASSIGN(std::vector<std::byte> text, host::ReadWholeFile(key_path, 4096));
  Result<crypto::Key256> key = crypto::DecodeOwnerKey(text);
  crypto::WipeMemory(text);
  if (!key.ok()) return OfFile(key_path, key.error());
  return key;
}

Error OfFile(const std::string& path, const Error& error) {
  return {error.code, fmt::format("{}: {}", path, error.message)};
}

Result<OpenedModel> OpenSealed(const std::string& path, const std::string& key_path,
                               host::BlobAccess access) {
  if (key_path.empty()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{}: a sealed model needs its owner key: add --key owner.key", path)};
  }
  TRY_ASSIGN(const crypto::Key256 key, ReadOwnerKey(key_path));
  OpenedModel opened;
  opened.given_path = path;
  std::error_code ignored;
  opened.path = std::filesystem::canonical(path, ignored).string();
  TRY_ASSIGN(opened.blob, host::OpenBlob(path, access));
  Result<std::unique_ptr<seal::SealedModel>> model =
      seal::SealedModel::Open(*opened.blob, key, crypto::PreferredAeadBackend());
  if (!model.ok()) return OfFile(path, model.error());
  opened.model = std::move(model).value();
  return opened;
}

bool IsPlainModel(const std::string& path) {
  return path.ends_with(".onnx") || path.ends_with(".cfg");
}

std::string ProgramFolder() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

Status RunHelper(const std::string& name, const std::vector<std::string>& arguments) {
  const std::string program = ProgramFolder() + "/" + name;
  std::vector<char*> argv = {const_cast<char*>(name.c_str())};  // NOLINT: posix_spawn takes char*
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int failure = posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    return Error{Code::kUnavailable,
                 fmt::format("cannot start {}: {}", program, std::strerror(failure))};
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const bool usage = WIFEXITED(status) && WEXITSTATUS(status) == 2;
  return Error{usage ? Code::kInvalidArgument : Code::kUnavailable,
               fmt::format("the model could not be sealed (see above)")};
}

Result<std::unique_ptr<MomentarySeal>> MomentarySeal::Make(const std::string& model_path,
                                                           const SealOptions& options) {
  TRY_ASSIGN(auto folder, ScratchFolder::Make());
  std::unique_ptr<MomentarySeal> seal(new MomentarySeal(std::move(folder)));
  crypto::Key256 key;
  host::PosixEntropy entropy;
  TRY(entropy.Fill(key.mutable_bytes()));
  TRY_ASSIGN(const crypto::OwnerKeyText text, crypto::EncodeOwnerKey(key));
  TRY_ASSIGN(const auto file,
             host::AtomicFile::Create(seal->key_path(), 0600, host::Overwrite::kRefuse));
  TRY(file->WriteAt(0, text.bytes()));
  TRY(file->Commit());
  std::vector<std::string> arguments = {"seal",  model_path,      "-o", seal->sealed_path(),
                                        "--key", seal->key_path()};
  const std::vector<std::string> more = options.ToArguments();
  arguments.insert(arguments.end(), more.begin(), more.end());
  TRY(RunHelper("coracle-compile", arguments));
  return seal;
}

Result<OpenedArgument> OpenArgument(const ModelArgument& argument, host::BlobAccess access) {
  OpenedArgument out;
  if (!IsPlainModel(argument.path)) {
    TRY_ASSIGN(out.opened, OpenSealed(argument.path, argument.key_path, access));
    return out;
  }
  TRY_ASSIGN(out.momentary, MomentarySeal::Make(argument.path, argument.seal_options));
  TRY_ASSIGN(out.opened,
             OpenSealed(out.momentary->sealed_path(), out.momentary->key_path(), access));
  return out;
}

}  // namespace coracle::cmd
