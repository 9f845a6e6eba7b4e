// The QEMU plugin: QEMU's callbacks, handed on to the Tracer.
//
// A signal that ends the program ends QEMU as well, by kill(2) on itself and without a callback. So
// that what was found until then is not lost, the plugin is also preloaded into QEMU
// (traced_run.cc), and its kill comes first.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "characterize/tracer/clean_vectors.h"
#include "characterize/tracer/digest_callbacks.h"
#include "characterize/tracer/orders.h"
#include "characterize/tracer/qemu_plugin.h"
#include "characterize/tracer/tracer.h"

namespace coracle::characterize {
namespace {

// QEMU's callbacks carry no pointer of ours. Made once, before the program starts, and never freed:
// threads of the program may run until the process is gone.
Tracer* tracer = nullptr;
bool started = false;  ///< guarded by QEMU's translation lock

std::string ReadMaps() {
  std::string text;
  std::FILE* const file = std::fopen("/proc/self/maps", "re");
  if (file == nullptr) return text;
  char part[4096];
  while (const size_t bytes = std::fread(part, 1, sizeof(part), file)) text.append(part, bytes);
  std::fclose(file);
  return text;
}

/// What QEMU carries for us with an access: the instruction's number and its function's.
void* Packed(const Tracer::Instruction& instruction) {
  const auto function = static_cast<uint64_t>(instruction.function);
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<void*>(function << 32 | instruction.site);
}

void OnMemory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* packed) {
  const auto both = reinterpret_cast<uintptr_t>(packed);
  const AccessKind kind = qemu_plugin_mem_is_store(info) ? AccessKind::kWrite : AccessKind::kRead;
  tracer->OnAccess(vcpu, static_cast<uint32_t>(both), static_cast<FunctionIndex>(both >> 32),
                   address, 1u << qemu_plugin_mem_size_shift(info), kind);
}

/// Of an instruction that is not followed. Without any callback, QEMU 7.2 calls the one of an
/// earlier instruction where it emulates an access by a function of its own (as of locked
/// instructions).
void OnOtherMemory(unsigned /*vcpu*/, qemu_plugin_meminfo_t /*info*/, uint64_t /*address*/,
                   void* /*user*/) {}

/// A call or a return, which QEMU carries for us as long as it runs.
struct Transfer {
  Tracer::Instruction instruction;
  uint64_t next = 0;  ///< the address behind it
};
std::deque<Transfer>* transfers = nullptr;  ///< guarded by QEMU's translation lock

void OnTransfer(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* user) {
  const auto& [instruction, next] = *static_cast<const Transfer*>(user);
  if (instruction.counted) OnMemory(vcpu, info, address, Packed(instruction));
  // A call may also read the address that it goes to.
  const bool stores = qemu_plugin_mem_is_store(info);
  if (instruction.call == CallKind::kCall && stores) tracer->OnCall(vcpu, address, next);
  if (instruction.call == CallKind::kReturn && !stores) tracer->OnReturn(vcpu, address);
}

void OnFirstTranslation(const qemu_plugin_insn* instruction) {
  started = true;
  const uint64_t address = qemu_plugin_insn_vaddr(instruction);
  if (reinterpret_cast<uintptr_t>(qemu_plugin_insn_haddr(instruction)) != address) {
    tracer->Refuse("QEMU has placed the program at other addresses than its own");
    return;
  }
  tracer->OnStart(ReadMaps());
}

void Follow(qemu_plugin_insn* code) {
  const uint64_t address = qemu_plugin_insn_vaddr(code);
  const size_t bytes = qemu_plugin_insn_size(code);
  const Tracer::Instruction instruction = tracer->OnInstruction(
      address, {static_cast<const uint8_t*>(qemu_plugin_insn_data(code)), bytes});
  // One for both: QEMU 7.2 mixes callbacks for reads alone and for writes alone up.
  if (instruction.call != CallKind::kNone) {
    Transfer& transfer = transfers->emplace_back(Transfer{instruction, address + bytes});
    qemu_plugin_register_vcpu_mem_cb(code, OnTransfer, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                     &transfer);
  } else if (instruction.counted) {
    qemu_plugin_register_vcpu_mem_cb(code, OnMemory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                     Packed(instruction));
  } else {
    qemu_plugin_register_vcpu_mem_cb(code, OnOtherMemory, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, nullptr);
  }
}

void OnTranslation(qemu_plugin_id_t /*id*/, qemu_plugin_tb* block) {
  const size_t count = qemu_plugin_tb_n_insns(block);
  if (!started) OnFirstTranslation(qemu_plugin_tb_get_insn(block, 0));
  for (size_t i = 0; i < count; ++i) CleanVectorsBefore(qemu_plugin_tb_get_insn(block, i));
  if (DigestBlock(block)) return;
  for (size_t i = 0; i < count; ++i) Follow(qemu_plugin_tb_get_insn(block, i));
}

void OnSystemCall(qemu_plugin_id_t /*id*/, unsigned vcpu, int64_t number, uint64_t a1, uint64_t a2,
                  uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t /*a7*/,
                  uint64_t /*a8*/) {
  DigestSystemCall(vcpu, number, a1, a2);
  tracer->OnSystemCall(vcpu, {number, {a1, a2, a3, a4, a5, a6}});
}

void OnSystemCallReturn(qemu_plugin_id_t /*id*/, unsigned vcpu, int64_t /*number*/,
                        int64_t result) {
  tracer->OnSystemCallReturn(vcpu, result);
}

void OnThreadStart(qemu_plugin_id_t /*id*/, unsigned vcpu) {
  DigestThreadStart(vcpu);
  tracer->OnThreadStart(vcpu);
}

void OnThreadEnd(qemu_plugin_id_t /*id*/, unsigned vcpu) { tracer->OnThreadEnd(vcpu); }
void OnEnd(qemu_plugin_id_t /*id*/, void* /*user*/) { tracer->OnEnd(); }

/// The program's signals are for the program's threads.
void StartReporting() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([] { tracer->ReportForever(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

int Install(qemu_plugin_id_t id, const qemu_info_t& info, int argc, char** argv) {
  if (info.system_emulation || std::string_view(info.target_name) != "x86_64") {
    std::fprintf(stderr, "coracle tracer: it follows programs of x86-64 Linux, not %s\n",
                 info.target_name);
    return 1;
  }
  const std::vector<std::string_view> arguments(argv, argv + argc);
  const auto orders = TracerOrders::Parse(arguments);
  if (!orders.ok()) {
    std::fprintf(stderr, "coracle %s\n", orders.error().message.c_str());
    return 1;
  }
  tracer = new Tracer(*orders);
  transfers = new std::deque<Transfer>();
  if (orders->work == TracerWork::kDigests) StartDigests(*orders, *tracer, ReadMaps);
  pthread_atfork([] { tracer->BeforeFork(); }, [] { tracer->AfterForkInParent(); },
                 [] { tracer->AfterForkInChild(); });
  StartReporting();
  qemu_plugin_register_vcpu_init_cb(id, OnThreadStart);
  qemu_plugin_register_vcpu_exit_cb(id, OnThreadEnd);
  qemu_plugin_register_vcpu_tb_trans_cb(id, OnTranslation);
  qemu_plugin_register_vcpu_syscall_cb(id, OnSystemCall);
  qemu_plugin_register_vcpu_syscall_ret_cb(id, OnSystemCallReturn);
  qemu_plugin_register_atexit_cb(id, OnEnd, nullptr);
  return 0;
}

void OnKill(pid_t process) {
  if (tracer != nullptr && process == ::getpid()) tracer->OnDeath();
}

}  // namespace
}  // namespace coracle::characterize

extern "C" {

__attribute__((visibility("default"))) int kill(pid_t process, int number) noexcept {
  coracle::characterize::OnKill(process);
  return static_cast<int>(::syscall(SYS_kill, process, number));
}

__attribute__((visibility("default"))) int qemu_plugin_version = kQemuPluginVersion;

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t* info, int argc,
                                                               char** argv) {
  return coracle::characterize::Install(id, *info, argc, argv);
}

}  // extern "C"
