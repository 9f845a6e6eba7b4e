#include "cmd/support/page_file.h"

#include "host/posix/atomic_file.h"

namespace coracle::cmd {

Status WritePage(const std::string& path, std::string_view page) {
  TRY_ASSIGN(const auto file, host::AtomicFile::Create(path, 0644, host::Overwrite::kReplace));
  TRY(file->WriteAt(0, {reinterpret_cast<const std::byte*>(page.data()), page.size()}));
  return file->Commit();
}

}  // namespace coracle::cmd
