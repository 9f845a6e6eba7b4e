// Opening a sealed file for a verb, and sealing a plain model for the moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/support/scratch_folder.h"
#include "cmd/support/seal_options.h"
#include "host/blob.h"
#include "seal/reader.h"

namespace coracle::cmd {

/// A sealed model and the blob that it reads from.
struct OpenedModel {
  std::string given_path;  ///< as the user wrote it, for messages
  std::string path;        ///< canonical
  std::unique_ptr<host::Blob> blob;
  std::unique_ptr<seal::SealedModel> model;  ///< views *blob
};

/// `error` with the file in front.
Error OfFile(const std::string& path, const Error& error);

/// Errors: kNotFound, kMalformed, kTampered, ... naming the file and what to do.
Result<OpenedModel> OpenSealed(const std::string& path, const std::string& key_path,
                               host::BlobAccess access);

/// Reads an owner key file. Errors name the file.
Result<crypto::Key256> ReadOwnerKey(const std::string& key_path);

/// True for a path that `coracle seal` reads (.onnx, .cfg) rather than a sealed file.
bool IsPlainModel(const std::string& path);

/// The folder of the running program, where its helpers are.
std::string ProgramFolder();

/// Runs the program beside this one with `arguments`, its stdout discarded. Errors: kUnavailable if
/// it cannot be started; if it fails, its own message (already on stderr) is referred to.
Status RunHelper(const std::string& name, const std::vector<std::string>& arguments);

/// A plain model sealed into a folder that is removed with this object, under a key of its own.
class MomentarySeal {
 public:
  static Result<std::unique_ptr<MomentarySeal>> Make(const std::string& model_path,
                                                     const SealOptions& options);

  std::string sealed_path() const { return folder_->path() + "/model.sealed"; }
  std::string key_path() const { return folder_->path() + "/owner.key"; }

 private:
  explicit MomentarySeal(std::unique_ptr<ScratchFolder> folder) : folder_(std::move(folder)) {}
  std::unique_ptr<ScratchFolder> folder_;
};

/// MODEL_OR_SEALED of a verb: opens the sealed file, or seals the plain model first.
struct ModelArgument {
  std::string path;
  std::string key_path;
  SealOptions seal_options;
};
struct OpenedArgument {
  std::unique_ptr<MomentarySeal> momentary;  ///< null for a sealed file
  OpenedModel opened;
};
Result<OpenedArgument> OpenArgument(const ModelArgument& argument, host::BlobAccess access);

}  // namespace coracle::cmd
