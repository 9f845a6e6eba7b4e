#include "emulator/epcrun/shared_epc.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/units.h"
#include "emulator/epcrun/limit.h"
#include "emulator/epcrun/machine.h"
#include "emulator/epcrun/process_birth.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kTableMagic = 0x31454c4241544345;  // "ECTABLE1"
constexpr size_t kNameMax = 48;
/// An order that pinned or held pages kept from being carried out in full is given again.
constexpr uint64_t kAgainNs = 100'000'000;

}  // namespace

/// One member's row. Written by its own epcrun (the dead's by whoever finds them), under the lock
/// but for the counters.
struct SharedMember {
  std::atomic<uint32_t> pid;  // 0: free
  uint64_t birth;
  uint64_t quota_bytes;
  std::atomic<uint64_t> part_bytes;
  std::atomic<uint64_t> resident_bytes;
  std::atomic<uint64_t> faults;
  std::atomic<uint64_t> loads;
  std::atomic<uint64_t> evictions;
  char name[32];
};

struct SharedTable {
  uint64_t magic;
  uint64_t size_bytes;
  SharedMember members[kMembersMax];
};

namespace {

std::string ObjectName(const std::string& name) { return "/epcrun-" + name; }

bool Alive(const SharedMember& member) {
  const uint32_t pid = member.pid;
  return pid != 0 && BirthOf(static_cast<pid_t>(pid)) == member.birth;
}

/// Frees the rows of runs whose process is gone. Requires: locked.
void BuryTheDead(SharedTable& table) {
  for (SharedMember& member : table.members) {
    if (member.pid == 0 || Alive(member)) continue;
    member.part_bytes = 0;
    member.pid = 0;
  }
}

Error Unavailable(std::string message) { return Error{Code::kUnavailable, std::move(message)}; }

Result<SharedTable*> MapTable(int fd, const std::string& name) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return Unavailable(std::strerror(errno));
  if (status.st_uid != geteuid()) {
    return Unavailable(fmt::format("--share {}: that name is another user's", name));
  }
  if (status.st_size == 0 && ftruncate(fd, sizeof(SharedTable)) != 0) {
    return Unavailable(fmt::format("--share {}: {}", name, std::strerror(errno)));
  }
  if (status.st_size != 0 && status.st_size != sizeof(SharedTable)) {
    return Unavailable(
        fmt::format("/dev/shm/epcrun-{} is of another version of epcrun: remove it", name));
  }
  void* const memory =
      mmap(nullptr, sizeof(SharedTable), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Unavailable(std::strerror(errno));
  auto* const table = static_cast<SharedTable*>(memory);
  if (table->magic != 0 && table->magic != kTableMagic) {
    munmap(memory, sizeof(SharedTable));
    return Unavailable(fmt::format("/dev/shm/epcrun-{} is not epcrun's: remove it", name));
  }
  return table;
}

/// Whether `fd` is what the name leads to: the last member may have removed it meanwhile.
bool StillNamed(int fd, const std::string& name) {
  const Descriptor again(shm_open(ObjectName(name).c_str(), O_RDWR | O_CLOEXEC, 0));
  struct stat mine = {};
  struct stat named = {};
  return again.valid() && fstat(fd, &mine) == 0 && fstat(again.get(), &named) == 0 &&
         mine.st_ino == named.st_ino;
}

}  // namespace

/// Between processes; the kernel lets go of it when its holder dies.
class SharedEpc::Lock {
 public:
  explicit Lock(const Descriptor& file) : fd_(file.get()) {
    while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~Lock() { flock(fd_, LOCK_UN); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int fd_;
};

Status CheckShareName(const std::string& name) {
  const bool clean = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (clean && !name.empty() && name.size() <= kNameMax) return {};
  return Error{Code::kInvalidArgument,
               fmt::format("--share '{}': a name is up to {} letters, digits, '-', '_' and '.'",
                           name, kNameMax)};
}

Result<std::vector<uint64_t>> PartsOf(uint64_t size_bytes, std::span<const uint64_t> quotas) {
  uint64_t fixed_bytes = 0;
  uint64_t elastic = 0;
  for (const uint64_t quota : quotas) {
    fixed_bytes += quota;
    if (quota == 0) ++elastic;
  }
  const uint64_t left_bytes = fixed_bytes > size_bytes ? 0 : size_bytes - fixed_bytes;
  const uint64_t part_bytes = elastic == 0 ? 0 : left_bytes / elastic / kPageBytes * kPageBytes;
  if (fixed_bytes > size_bytes || (elastic > 0 && part_bytes < kLimitBytesMin)) {
    return Error{Code::kOutOfBudget,
                 fmt::format("{} runs in {}: {} are reserved by quotas, and {} without one need {} "
                             "each",
                             quotas.size(), FormatBytes(size_bytes), FormatBytes(fixed_bytes),
                             elastic, FormatBytes(kLimitBytesMin))};
  }
  std::vector<uint64_t> parts;
  for (const uint64_t quota : quotas) parts.push_back(quota == 0 ? part_bytes : quota);
  return parts;
}

Result<ShareView> ViewShare(const std::string& name) {
  const Descriptor file(shm_open(ObjectName(name).c_str(), O_RDWR | O_CLOEXEC, 0));
  if (!file.valid()) return Unavailable(fmt::format("--share {}: no run shares it", name));
  TRY_ASSIGN(SharedTable* const table, MapTable(file.get(), name));
  ShareView view;
  view.size_bytes = table->size_bytes;
  for (const SharedMember& member : table->members) {
    if (!Alive(member)) continue;
    MemberView seen;
    seen.pid = static_cast<pid_t>(member.pid.load());
    seen.name = std::string(member.name, strnlen(member.name, sizeof member.name));
    seen.quota_bytes = member.quota_bytes;
    seen.part_bytes = member.part_bytes;
    seen.resident_bytes = member.resident_bytes;
    seen.faults = member.faults;
    seen.loads = member.loads;
    seen.evictions = member.evictions;
    view.members.push_back(seen);
  }
  munmap(table, sizeof(SharedTable));
  return view;
}

Result<std::unique_ptr<SharedEpc>> SharedEpc::Join(const Settings& settings, RunRecord& record) {
  for (;;) {
    std::unique_ptr<SharedEpc> share(new SharedEpc(settings.name));
    TRY_ASSIGN(const Entry entry, share->OpenAndEnter(settings));
    if (entry == Entry::kTryAgain) continue;
    TRY(share->WaitForPart(settings, record));
    return share;
  }
}

Result<SharedEpc::Entry> SharedEpc::OpenAndEnter(const Settings& settings) {
  file_ = Descriptor(shm_open(ObjectName(name_).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file_.valid()) {
    return Unavailable(fmt::format("--share {}: {}", name_, std::strerror(errno)));
  }
  const Lock lock(file_);
  if (!StillNamed(file_.get(), name_)) return Entry::kTryAgain;
  TRY_ASSIGN(table_, MapTable(file_.get(), name_));
  TRY(Enter(settings));
  return Entry::kEntered;
}

Status SharedEpc::Enter(const Settings& settings) {
  SharedTable& table = *table_;
  BuryTheDead(table);
  std::vector<uint64_t> quotas;
  uint32_t free_slot = kMembersMax;
  for (uint32_t i = 0; i < kMembersMax; ++i) {
    if (table.members[i].pid != 0) {
      quotas.push_back(table.members[i].quota_bytes);
    } else if (free_slot == kMembersMax) {
      free_slot = i;
    }
  }
  if (quotas.empty()) {
    table.size_bytes = settings.size_bytes;
    table.magic = kTableMagic;
  }
  if (table.size_bytes != settings.size_bytes) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--share {} is an EPC of {} while {} runs share it: give --size {} as "
                             "well",
                             settings.name, FormatBytes(table.size_bytes), quotas.size(),
                             FormatBytes(table.size_bytes))};
  }
  if (free_slot == kMembersMax) {
    return Error{Code::kOutOfBudget,
                 fmt::format("--share {}: {} runs share it already", settings.name, kMembersMax)};
  }
  quotas.push_back(settings.quota_bytes);
  const Result<std::vector<uint64_t>> parts = PartsOf(table.size_bytes, quotas);
  if (!parts.ok()) {
    return Error{parts.error().code, fmt::format("--share {}: no room: with this one, {}",
                                                 settings.name, parts.error().message)};
  }
  SharedMember& mine = table.members[free_slot];
  mine.birth = BirthOf(settings.pid);
  mine.quota_bytes = settings.quota_bytes;
  mine.part_bytes = 0;
  mine.resident_bytes = mine.faults = mine.loads = mine.evictions = 0;
  std::memset(mine.name, 0, sizeof mine.name);
  settings.program.copy(mine.name, sizeof mine.name - 1);
  mine.pid = static_cast<uint32_t>(settings.pid);
  slot_ = free_slot;
  return {};
}

Status SharedEpc::WaitForPart(const Settings& settings, RunRecord& record) {
  const uint64_t end_ns = Nanoseconds() + uint64_t{settings.wait_ms} * 1'000'000;
  SharedMember& mine = table_->members[slot_];
  for (;;) {
    {
      const Lock lock(file_);
      BuryTheDead(*table_);
      if (mine.pid != static_cast<uint32_t>(settings.pid)) {
        return Unavailable("interrupted before the program started");
      }
      const uint64_t target = Target();
      mine.part_bytes = std::min(target, mine.part_bytes + FreeBytes());
      if (mine.part_bytes == target) {
        record.limit_bytes = ordered_bytes_ = target;
        return {};
      }
    }
    if (Nanoseconds() >= end_ns) {
      return Unavailable(fmt::format(
          "--share {}: the other runs did not give up {} within {:g} s (stopped, or held in memory "
          "that cannot be evicted): epcrun --share {} --list shows them",
          settings.name, FormatBytes(Target() - mine.part_bytes), settings.wait_ms / 1e3,
          settings.name));
    }
    const timespec pause = {0, long{kShareMs} * 1'000'000 / 2};
    nanosleep(&pause, nullptr);
  }
}

SharedEpc::~SharedEpc() {
  if (table_ == nullptr) return;
  {
    const Lock lock(file_);
    if (slot_ != kMembersMax) {
      table_->members[slot_].part_bytes = 0;
      table_->members[slot_].pid = 0;
    }
    BuryTheDead(*table_);
    const bool empty = std::all_of(std::begin(table_->members), std::end(table_->members),
                                   [](const SharedMember& member) { return member.pid == 0; });
    if (empty) shm_unlink(ObjectName(name_).c_str());
  }
  munmap(table_, sizeof(SharedTable));
}

uint64_t SharedEpc::Target() const {
  std::vector<uint64_t> quotas;
  size_t mine = 0;
  for (uint32_t i = 0; i < kMembersMax; ++i) {
    if (table_->members[i].pid == 0) continue;
    if (i == slot_) mine = quotas.size();
    quotas.push_back(table_->members[i].quota_bytes);
  }
  const Result<std::vector<uint64_t>> parts = PartsOf(table_->size_bytes, quotas);
  CORACLE_CHECK(parts.ok());  // Enter lets nobody in for whom it would not be
  return parts.value()[mine];
}

uint64_t SharedEpc::FreeBytes() const {
  uint64_t parts_bytes = 0;
  for (const SharedMember& member : table_->members) parts_bytes += member.part_bytes;
  CORACLE_CHECK(parts_bytes <= table_->size_bytes);
  return table_->size_bytes - parts_bytes;
}

void SharedEpc::Tick(RunRecord& record) {
  SharedMember& mine = table_->members[slot_];
  mine.resident_bytes = record.resident_bytes.load();
  mine.faults = record.faults.load();
  mine.loads = record.loads.load();
  mine.evictions = record.evictions.load();
  const Lock lock(file_);
  BuryTheDead(*table_);
  if (mine.pid == 0) return;  // the program has ended
  const uint64_t target = Target();
  if (record.order_done == record.order) FinishOrder(record);
  if (record.order_done != record.order) return;
  if (target >= mine.part_bytes) {
    mine.part_bytes = std::min(target, mine.part_bytes + FreeBytes());
    if (mine.part_bytes > ordered_bytes_) GiveOrder(record, mine.part_bytes);
  } else if (target != ordered_bytes_ || Nanoseconds() - order_ns_ > kAgainNs) {
    GiveOrder(record, target);
  }
}

void SharedEpc::FinishOrder(RunRecord& record) {
  if (record.order == 0) return;
  std::atomic<uint64_t>& part_bytes = table_->members[slot_].part_bytes;
  // Never more than it had: what was ordered to grow has its part already.
  part_bytes =
      std::min<uint64_t>(part_bytes, std::max<uint64_t>(ordered_bytes_, record.kept_bytes));
}

void SharedEpc::GiveOrder(RunRecord& record, uint64_t target_bytes) {
  ordered_bytes_ = target_bytes;
  order_ns_ = Nanoseconds();
  // For a program that takes this one's place (execve) before the order is carried out.
  record.limit_bytes = target_bytes;
  record.ordered_limit_bytes = target_bytes;
  record.order.fetch_add(1);
  syscall(SYS_futex, &record.order, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

}  // namespace coracle::epc
