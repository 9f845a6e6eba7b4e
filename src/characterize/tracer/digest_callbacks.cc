#include "characterize/tracer/digest_callbacks.h"

#include <utility>

#include "characterize/digests/access_digests.h"
#include "characterize/digests/digest_findings.h"

namespace coracle::characterize {
namespace {

// As the tracer (plugin.cc): callbacks carry a pointer to the block or a number, and no more.
AccessDigests* digests = nullptr;

void OnBlock(unsigned vcpu, void* block) {
  digests->OnBlock(vcpu, *static_cast<const AccessDigests::Block*>(block));
}

void OnMemory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* instruction) {
  const auto number = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(instruction));
  const AccessKind kind = qemu_plugin_mem_is_store(info) ? AccessKind::kWrite : AccessKind::kRead;
  digests->OnAccess(vcpu, number, address, 1u << qemu_plugin_mem_size_shift(info), kind);
}

}  // namespace

void StartDigests(const TracerOrders& orders, Tracer& tracer,
                  std::function<std::string()> read_maps) {
  digests = new AccessDigests(orders.from_mark, orders.to_mark);
  tracer.SetFurtherFindings([read_maps = std::move(read_maps)] {
    Json found = Json::object();
    found["digests"] = DigestsJson(*digests, read_maps());
    return found;
  });
}

bool DigestBlock(qemu_plugin_tb* block) {
  if (digests == nullptr) return false;
  const size_t count = qemu_plugin_tb_n_insns(block);
  if (count == 0) return true;
  uint64_t last = 0;
  uint64_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    qemu_plugin_insn* const instruction = qemu_plugin_tb_get_insn(block, i);
    last = qemu_plugin_insn_vaddr(instruction);
    end = last + qemu_plugin_insn_size(instruction);
    const uintptr_t number = digests->TranslatedInstruction(last);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): QEMU carries a number for us.
    void* const user = reinterpret_cast<void*>(number);
    // One for both: QEMU 7.2 mixes callbacks for reads alone and for writes alone up.
    qemu_plugin_register_vcpu_mem_cb(instruction, OnMemory, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, user);
  }
  const uint64_t begin = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0));
  const AccessDigests::Block* const known = digests->TranslatedBlock(begin, end - begin, last);
  qemu_plugin_register_vcpu_tb_exec_cb(block, OnBlock, QEMU_PLUGIN_CB_NO_REGS,
                                       const_cast<AccessDigests::Block*>(known));
  return true;
}

void DigestThreadStart(unsigned thread) {
  if (digests != nullptr) digests->OnThreadStart(thread);
}

void DigestSystemCall(unsigned thread, int64_t number, uint64_t first, uint64_t second) {
  if (digests != nullptr) digests->OnSystemCall(thread, number, first, second);
}

}  // namespace coracle::characterize
