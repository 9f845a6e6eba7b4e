// The library's constructor: it runs before any other code of the program (-z initfirst), while
// there is one thread, and takes the process over.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstring>
#include <new>

#include "emulator/pager/fatal.h"
#include "emulator/pager/own_memory.h"
#include "emulator/preload/adoption.h"
#include "emulator/preload/entry.h"
#include "emulator/preload/memory_map.h"
#include "emulator/preload/process.h"
#include "emulator/preload/raw_call.h"
#include "emulator/preload/shared_epc.h"
#include "emulator/preload/threads.h"

// Made by the linker: the first and the last byte of this library in memory.
extern "C" {
extern const char __ehdr_start[] __attribute__((visibility("hidden")));  // NOLINT
extern const char _end[] __attribute__((visibility("hidden")));          // NOLINT
}

namespace coracle::epc {
namespace {

struct Handover {
  long pid = -1;
  long fd = -1;
};

/// The value of `text` ("NAME=value") if its name is `name`, else null.
const char* ValueOf(const char* text, const char* name) {
  for (; *name != '\0'; ++name, ++text) {
    if (*text != *name) return nullptr;
  }
  return *text == '=' ? text + 1 : nullptr;
}

long ParseNumber(const char*& text) {
  long value = 0;
  if (*text < '0' || *text > '9') return -1;
  for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + (*text - '0');
  return value;
}

Handover ParseHandover(const char* text) {
  Handover handover;
  handover.pid = ParseNumber(text);
  if (*text++ == ':') handover.fd = ParseNumber(text);
  return handover;
}

[[noreturn]] void Refuse(RunRecord* record, const char* why) {
  if (record != nullptr) {
    CopyText(record->complaint, why);
    record->state.store(RunState::kRefused);
  }
  Say(Line(why));
  for (;;) AskKernel(SYS_exit_group, kRefusedExitCode);
}

RunRecord* MapRecord(long fd) {
  const long mapped =
      AskKernel(SYS_mmap, nullptr, sizeof(RunRecord), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (IsError(mapped)) Refuse(nullptr, "epcrun: the run's record cannot be mapped");
  auto* record = reinterpret_cast<RunRecord*>(mapped);
  if (record->version != kRunRecordVersion || record->record_bytes != sizeof(RunRecord)) {
    Refuse(nullptr, "epcrun: it and libepcrun.so are of different versions");
  }
  AskKernel(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
  return record;
}

Process* MapProcess() {
  void* const mapped = MapOwn(sizeof(Process));
  return mapped == nullptr ? nullptr : new (mapped) Process;
}

struct Start {
  Process* process;
  MemoryMap* map;
};

void RunSharedEpc(void* argument) {
  Process& process = *static_cast<Process*>(argument);
  SharedEpcLoop(*process.pager, *process.record);
}

/// On the main thread's own block: from here on the program's stack is memory like any other.
void Begin(void* argument) {
  const Start& start = *static_cast<Start*>(argument);
  Process& process = *start.process;
  RunRecord& record = *process.record;
  ThreadBlock& block = BlockAround(&argument);
  const Pager::Settings settings = {.record = &record};
  char complaint[256] = {};
  process.pager = Pager::Create(settings, complaint);
  if (process.pager == nullptr) Refuse(&record, complaint);
  UseAlternateStack(block);
  process.actions.TakeOurs();
  AdoptExisting(*process.pager, *start.map,
                {process.text_begin, process.text_begin + process.text_bytes});
  Introduce(block);
  if (record.share_name[0] != '\0' && !StartOwnThread(process, &RunSharedEpc, &process)) {
    Refuse(&record, "epcrun: the thread that keeps to a shared EPC's orders cannot be started");
  }
}

void StartInside(const Handover& handover, const char* preload, const char* handover_text) {
  MemoryMap map;
  RunRecord* const record = MapRecord(handover.fd);
  if (!map.ok()) Refuse(record, "epcrun: /proc/self/maps cannot be read");
  Process* const process = MapProcess();
  if (process == nullptr) Refuse(record, "epcrun: no memory");
  the_process = process;
  process->record = record;
  process->record_fd = static_cast<int>(handover.fd);
  process->text_begin = reinterpret_cast<uintptr_t>(__ehdr_start);
  process->text_bytes = reinterpret_cast<uintptr_t>(_end) - process->text_begin;
  if (strlen(preload) >= sizeof process->handed_on.preload) {
    Refuse(record, "epcrun: LD_PRELOAD is too long to hand it on");
  }
  CopyText(process->handed_on.preload, preload);
  CopyText(process->handed_on.handover, handover_text);
  ThreadBlock* const block = process->blocks.Take(*record);
  if (block == nullptr) Refuse(record, "epcrun: no memory");
  // On the block too: by the time that it is read, this stack's pages may be away.
  auto* const start = new (reinterpret_cast<void*>(block->stack_begin())) Start{process, &map};
  epcrun_call_on(block->stack_end(), &Begin, start);
  if (!DispatchSystemCalls(*process)) {
    Refuse(record, "epcrun: the kernel has no Syscall User Dispatch; it needs Linux 5.11 or later");
  }
  record->state.store(RunState::kInside);
}

[[gnu::constructor]] void OnLoad(int, char**, char** environment) {
  const char* preload = "";
  const char* handover_text = nullptr;
  Handover handover;
  for (; *environment != nullptr; ++environment) {
    if (ValueOf(*environment, "LD_PRELOAD") != nullptr) preload = *environment;
    const char* const value = ValueOf(*environment, kHandoverVariable);
    if (value == nullptr) continue;
    handover = ParseHandover(value);
    handover_text = *environment;
  }
  // Another process than the one that epcrun started is a child and runs outside.
  if (handover.pid != AskKernel(SYS_getpid) || handover.fd < 0) return;
  StartInside(handover, preload, handover_text);
}

}  // namespace
}  // namespace coracle::epc
