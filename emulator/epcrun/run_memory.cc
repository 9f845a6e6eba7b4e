#include "emulator/epcrun/run_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace coracle::epc {
namespace {

constexpr rlim_t kHighDescriptor = 900;

Error Failed(const char* what) {
  return Error{Code::kUnavailable, fmt::format("{}: {}", what, std::strerror(errno))};
}

}  // namespace

Result<std::unique_ptr<RunMemory>> RunMemory::Make() {
  const Descriptor low(memfd_create("epcrun-record", MFD_CLOEXEC));
  if (!low.valid()) return Failed("memfd_create");
  if (ftruncate(low.get(), sizeof(RunRecord)) != 0) return Failed("the record's memory");
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Failed("getrlimit");
  const auto high = static_cast<int>(std::min(kHighDescriptor, limit.rlim_cur / 2));
  Descriptor fd(fcntl(low.get(), F_DUPFD, high));
  if (!fd.valid()) return Failed("the record's descriptor");
  void* const memory =
      mmap(nullptr, sizeof(RunRecord), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return Failed("the record's memory");
  auto* const record = new (memory) RunRecord();
  record->record_bytes = sizeof(RunRecord);
  return std::unique_ptr<RunMemory>(new RunMemory(std::move(fd), record));
}

RunMemory::~RunMemory() { munmap(record_, sizeof(RunRecord)); }

}  // namespace coracle::epc
