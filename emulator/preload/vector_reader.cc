#include "emulator/preload/vector_reader.h"

#include <cerrno>

#include "emulator/preload/program_memory.h"

namespace coracle::epc {

long VectorReader::TotalBytes() const {
  constexpr uint64_t kEntriesMax = 1024;  // IOV_MAX
  if (count_ > kEntriesMax) return -EINVAL;
  long total = 0;
  for (uint64_t i = 0; i < count_; ++i) {
    iovec vector;
    if (!PeekValue(at_ + i * sizeof vector, vector)) return -EFAULT;
    if (__builtin_add_overflow(total, vector.iov_len, &total)) return -EINVAL;
  }
  return total;
}

long VectorReader::Fill(std::span<iovec> piece, uint64_t most, uint64_t& bytes) const {
  bytes = 0;
  size_t used = 0;
  uint64_t skip = skip_;
  for (uint64_t i = 0; i < count_ && used < piece.size() && bytes < most; ++i) {
    iovec vector;
    if (!PeekValue(at_ + i * sizeof vector, vector)) return -EFAULT;
    const uint64_t rest = vector.iov_len - skip;
    const uint64_t taken = rest < most - bytes ? rest : most - bytes;
    if (taken > 0) piece[used++] = {static_cast<std::byte*>(vector.iov_base) + skip, taken};
    bytes += taken;
    skip = 0;
  }
  return static_cast<long>(used);
}

void VectorReader::Skip(uint64_t bytes) {
  skip_ += bytes;
  while (count_ > 0) {
    iovec vector;
    if (!PeekValue(at_, vector) || vector.iov_len > skip_) return;
    skip_ -= vector.iov_len;
    at_ += sizeof vector;
    --count_;
  }
}

}  // namespace coracle::epc
