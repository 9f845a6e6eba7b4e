#include <fmt/format.h>

#include <memory>
#include <string>

#include "cmd/coracle/verbs.h"
#include "crypto/owner_key.h"
#include "host/posix/atomic_file.h"
#include "host/posix/entropy.h"

namespace coracle::cmd {
namespace {

Result<Report> Keygen(const std::string& path) {
  crypto::Key256 key;
  host::PosixEntropy entropy;
  TRY(entropy.Fill(key.mutable_bytes()));
  TRY_ASSIGN(const crypto::OwnerKeyText text, crypto::EncodeOwnerKey(key));
  TRY_ASSIGN(const auto file, host::AtomicFile::Create(path, 0600, host::Overwrite::kRefuse));
  TRY(file->WriteAt(0, text.bytes()));
  TRY(file->Commit());
  TRY_ASSIGN(const crypto::KeyId id, crypto::OwnerKeyId(key));
  Report report;
  report.json = {{"key_file", path}, {"key_id", crypto::Hex(id)}};
  report.text =
      fmt::format("Wrote {} (key id {}). Keep it secret: it opens every model sealed under it.\n",
                  path, crypto::Hex(id));
  return report;
}

}  // namespace

void AddKeygen(CLI::App& app, Console& console) {
  CLI::App* const verb = app.add_subcommand("keygen", "Make an owner key (0600; never overwrites)");
  const auto path = std::make_shared<std::string>();
  verb->add_option("-o,--output", *path, "The key file to make")->required();
  verb->footer("Example:\n  coracle keygen -o owner.key");
  console.Register(verb, [path] { return Keygen(*path); });
}

}  // namespace coracle::cmd
