#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/sealed_file.h"
#include "crypto/owner_key.h"

namespace coracle::cmd {
namespace {

struct CheckOptions {
  std::string path;
  std::string key;
};

Result<Report> Check(const CheckOptions& options) {
  TRY_ASSIGN(const OpenedModel opened,
             OpenSealed(options.path, options.key, host::BlobAccess::kView));
  ProgressLine progress("checking");
  const Status checked = seal::CheckAllChunks(
      *opened.model, [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); });
  if (!checked.ok()) return OfFile(options.path, checked.error());
  const seal::Manifest& manifest = opened.model->manifest();
  uint64_t weight_bytes = 0;
  for (const seal::ChunkRecord& chunk : manifest.chunks) weight_bytes += chunk.bytes;
  Report report;
  report.json = {{"ok", true},
                 {"name", manifest.name},
                 {"version", manifest.version},
                 {"identity", crypto::Hex(opened.model->identity())},
                 {"file_bytes", opened.blob->size()},
                 {"weight_bytes", weight_bytes},
                 {"chunks", manifest.chunks.size()}};
  report.text = fmt::format("{}: whole and authentic. Model '{}', {} in {} chunks, identity {}\n",
                            options.path, manifest.name, FormatBytes(weight_bytes),
                            manifest.chunks.size(), crypto::Hex(opened.model->identity()));
  return report;
}

}  // namespace

void AddCheck(CLI::App& app, Console& console) {
  CLI::App* const verb = app.add_subcommand("check", "Open and verify the whole of a sealed file");
  const auto options = std::make_shared<CheckOptions>();
  verb->add_option("SEALED", options->path, "The sealed model")->required();
  verb->add_option("--key", options->key, "The owner key")->required();
  verb->footer("Example:\n  coracle check model.sealed --key owner.key");
  console.Register(verb, [options] { return Check(*options); });
}

}  // namespace coracle::cmd
