#include <signal.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "emulator/pager/pager.h"
#include "swap_paths.h"

namespace coracle::bench {
namespace {

epc::Pager* serving = nullptr;

void OnBusError(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  if (serving == nullptr || serving->Fault(address) != epc::FaultOutcome::kServed) {
    std::abort();
  }
}

class PagerPath final : public SwapPath {
 public:
  PagerPath(Moves moves, uint64_t pages, uint64_t limit_pages)
      : record_(std::make_unique<epc::RunRecord>()), bytes_(pages * kPageBytes) {
    record_->limit_bytes = limit_pages * kPageBytes;
    char complaint[256] = {};
    pager_ =
        epc::Pager::Create({.record = record_.get(),
                            .moves = moves == Moves::kMove ? epc::Moves::kMove : epc::Moves::kCopy},
                           complaint);
    if (pager_ == nullptr) {
      std::fprintf(stderr, "%s\n", complaint);
      std::abort();
    }
    begin_ = static_cast<uintptr_t>(
        pager_->Map(0, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  ~PagerPath() override {
    pager_->Unmap(begin_, bytes_);
    pager_->SetLimit(epc::kUnlimited);
    pager_->Destroy();
  }
  void Begin() override {
    serving = pager_;
    struct sigaction action {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
  }
  void End() override {
    signal(SIGBUS, SIG_DFL);
    serving = nullptr;
  }
  std::byte* page(uint64_t index) override {
    return reinterpret_cast<std::byte*>(begin_ + index * kPageBytes);
  }
  SwapTicks TakeTicks() override {
    const SwapTicks now{record_->crypto_ticks.load(), record_->mapping_ticks.load()};
    const SwapTicks before = std::exchange(taken_, now);
    return {now.crypto - before.crypto, now.mapping - before.mapping};
  }

 private:
  std::unique_ptr<epc::RunRecord> record_;
  uint64_t bytes_;
  epc::Pager* pager_ = nullptr;
  uintptr_t begin_ = 0;
  SwapTicks taken_;
};

}  // namespace

std::unique_ptr<SwapPath> MakePagerPath(Moves moves, uint64_t pages, uint64_t limit_pages) {
  return std::make_unique<PagerPath>(moves, pages, limit_pages);
}

}  // namespace coracle::bench
