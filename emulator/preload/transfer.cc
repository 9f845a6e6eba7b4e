#include "emulator/preload/transfer.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "emulator/preload/holding.h"
#include "emulator/preload/program_memory.h"
#include "emulator/preload/raw_call.h"
#include "emulator/preload/vector_reader.h"

namespace coracle::epc {
namespace {

constexpr int kBuffer = 1;
constexpr int kBytes = 2;
constexpr int kOffset = 3;
constexpr int kMessage = 1;

enum class Cutting : uint8_t {
  kGoOn,  ///< in pieces until all is done, or one is short
  kOnce,  ///< one piece, perhaps short
  kWhole  ///< not to be cut
};

bool IsStream(int fd) {
  int type = 0;
  uint32_t bytes = sizeof type;
  const long result = AskKernel(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &bytes);
  return result == 0 && type == SOCK_STREAM;
}

Cutting CuttingFor(int fd, bool in, bool wait_for_all) {
  struct stat status = {};
  if (AskKernel(SYS_fstat, fd, &status) != 0) return Cutting::kOnce;  // the call says what is wrong
  const auto kind = status.st_mode & S_IFMT;
  if (kind == S_IFSOCK) {
    if (!IsStream(fd)) return Cutting::kWhole;
    return in && !wait_for_all ? Cutting::kOnce : Cutting::kGoOn;
  }
  const bool seekable = kind == S_IFREG || kind == S_IFBLK;
  return in && !seekable ? Cutting::kOnce : Cutting::kGoOn;
}

bool HasOffset(long number) {
  return number == SYS_pread64 || number == SYS_pwrite64 || number == SYS_preadv ||
         number == SYS_pwritev || number == SYS_preadv2 || number == SYS_pwritev2;
}

bool WaitsForAll(const Call& call) {
  return call.number == SYS_recvfrom && (call.arguments[3] & MSG_WAITALL) != 0;
}

/// Moves a position by what one piece did: an offset of -1 (preadv2) means the file's own.
void Advance(const Call& call, long (&arguments)[6], long done) {
  if (HasOffset(call.number) && arguments[kOffset] != -1) arguments[kOffset] += done;
}

long BufferInPieces(Call& call, HeldArguments& held, Cutting cutting) {
  const uint64_t most = call.process.pager->HoldBytesMax();
  long(&arguments)[6] = held.arguments();
  uint64_t left = call.address(kBytes);
  long total = 0;
  do {
    const uint64_t piece = left < most ? left : most;
    CallHolds holds(call.block, *call.process.pager, call.frame());
    const HoldOutcome outcome = holds.Bytes(static_cast<uintptr_t>(arguments[kBuffer]), piece);
    if (outcome != HoldOutcome::kHeld) return total > 0 ? total : RefusedHold(call, outcome);
    arguments[kBytes] = static_cast<long>(piece);
    const long done = Perform(call, arguments, During::kProgramMask);
    if (done < 0) return total > 0 ? total : done;
    total += done;
    left -= static_cast<uint64_t>(done);
    arguments[kBuffer] += done;
    Advance(call, arguments, done);
    if (static_cast<uint64_t>(done) < piece || cutting == Cutting::kOnce) break;
  } while (left > 0);
  return total;
}

constexpr size_t kPieceVectors = 64;

/// One piece of a vector transfer, `bytes` long, held for the time of perform(entries, count).
template <typename Function>
long PerformPiece(Call& call, const VectorReader& reader, uint64_t& bytes, Function perform) {
  iovec piece[kPieceVectors];
  const long used = reader.Fill(piece, call.process.pager->HoldBytesMax(), bytes);
  if (used < 0) return used;
  CallHolds holds(call.block, *call.process.pager, call.frame());
  for (const iovec& vector : std::span(piece, static_cast<size_t>(used))) {
    const HoldOutcome outcome =
        holds.Bytes(reinterpret_cast<uintptr_t>(vector.iov_base), vector.iov_len);
    if (outcome != HoldOutcome::kHeld) return RefusedHold(call, outcome);
  }
  return perform(piece, used);
}

long VectorsInPieces(Call& call, HeldArguments& held, VectorReader reader, uint64_t all,
                     Cutting cutting) {
  long(&arguments)[6] = held.arguments();
  uint64_t total = 0;
  while (total < all) {
    uint64_t bytes = 0;
    const long done = PerformPiece(call, reader, bytes, [&](iovec* piece, long used) {
      const long of_piece[6] = {arguments[0], AsArgument(piece), used,
                                arguments[3], arguments[4],      arguments[5]};
      return Perform(call, of_piece, During::kProgramMask);
    });
    if (done < 0) return total > 0 ? static_cast<long>(total) : done;
    total += static_cast<uint64_t>(done);
    reader.Skip(static_cast<uint64_t>(done));
    Advance(call, arguments, done);
    if (static_cast<uint64_t>(done) < bytes || cutting == Cutting::kOnce) break;
  }
  return static_cast<long>(total);
}

/// The first piece of a message on a stream, where both directions may be short.
long FirstPieceOfMessage(Call& call, HeldArguments& held, const msghdr& head) {
  held.Bytes(reinterpret_cast<uintptr_t>(head.msg_name), head.msg_namelen);
  held.Bytes(reinterpret_cast<uintptr_t>(head.msg_control), head.msg_controllen);
  const VectorReader reader(reinterpret_cast<uintptr_t>(head.msg_iov), head.msg_iovlen);
  uint64_t bytes = 0;
  msghdr part = head;
  const long done = PerformPiece(call, reader, bytes, [&](iovec* piece, long used) {
    part.msg_iov = piece;
    part.msg_iovlen = static_cast<size_t>(used);
    const long of_part[6] = {call.arguments[0], AsArgument(&part), call.arguments[2], 0, 0, 0};
    return Perform(call, of_part, During::kProgramMask);
  });
  // What the kernel says of the sender and of the control data.
  part.msg_iov = head.msg_iov;
  part.msg_iovlen = head.msg_iovlen;
  if (done >= 0 && !PokeValue(call.address(kMessage), part)) return -EFAULT;
  return done;
}

}  // namespace

long TransferBuffer(Call& call, const SystemCall& entry) {
  HeldArguments held(call);
  if (call.address(kBytes) <= call.process.pager->HoldBytesMax()) {
    return HoldAndPerform(call, held, entry);
  }
  const int fd = static_cast<int>(call.arguments[0]);
  const Cutting cutting = CuttingFor(fd, entry.treatment == Treatment::kIn, WaitsForAll(call));
  if (cutting == Cutting::kWhole) return RefusedHold(call, HoldOutcome::kTooLarge);
  const HoldOutcome outcome = held.HoldAllBut(entry, kBuffer);
  if (outcome != HoldOutcome::kHeld) return RefusedHold(call, outcome);
  return BufferInPieces(call, held, cutting);
}

long TransferShortened(Call& call, const SystemCall& entry) {
  const uint64_t most = call.process.pager->HoldBytesMax();
  for (const Argument& argument : entry.arguments) {
    if (argument.reach != Reach::kOf) continue;
    long& bytes = call.arguments[argument.other];
    if (static_cast<uint64_t>(bytes) > most) bytes = static_cast<long>(most);
  }
  HeldArguments held(call);
  return HoldAndPerform(call, held, entry);
}

long TransferVectors(Call& call, const SystemCall& entry) {
  HeldArguments held(call);
  const uint64_t count = call.address(kBytes);
  const HoldOutcome array = held.Bytes(call.address(kBuffer), count * sizeof(iovec));
  if (array != HoldOutcome::kHeld) return RefusedHold(call, array);
  const VectorReader reader(call.address(kBuffer), count);
  const long all = reader.TotalBytes();
  if (all < 0) return all;
  if (static_cast<uint64_t>(all) <= call.process.pager->HoldBytesMax()) {
    return HoldAndPerform(call, held, entry);
  }
  const int fd = static_cast<int>(call.arguments[0]);
  const Cutting cutting = CuttingFor(fd, entry.treatment == Treatment::kVectorsIn, false);
  if (cutting == Cutting::kWhole) return RefusedHold(call, HoldOutcome::kTooLarge);
  return VectorsInPieces(call, held, reader, static_cast<uint64_t>(all), cutting);
}

long TransferMessage(Call& call, const SystemCall& entry) {
  HeldArguments held(call);
  msghdr head;
  const HoldOutcome outcome = held.Bytes(call.address(kMessage), sizeof head);
  if (outcome != HoldOutcome::kHeld) return RefusedHold(call, outcome);
  if (!PeekValue(call.address(kMessage), head)) return -EFAULT;
  const auto vectors = reinterpret_cast<uintptr_t>(head.msg_iov);
  const HoldOutcome array = held.Bytes(vectors, head.msg_iovlen * sizeof(iovec));
  if (array != HoldOutcome::kHeld) return RefusedHold(call, array);
  const long all = VectorReader(vectors, head.msg_iovlen).TotalBytes();
  const bool fits = all < 0 || static_cast<uint64_t>(all) <= call.process.pager->HoldBytesMax();
  if (fits) return HoldAndPerform(call, held, entry);
  if (!IsStream(static_cast<int>(call.arguments[0]))) {
    return RefusedHold(call, HoldOutcome::kTooLarge);
  }
  return FirstPieceOfMessage(call, held, head);
}

}  // namespace coracle::epc
