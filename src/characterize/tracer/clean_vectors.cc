#include "characterize/tracer/clean_vectors.h"

#include <cstddef>
#include <cstdint>
#include <span>

#include "characterize/program/instruction_form.h"

namespace coracle::characterize {
namespace {

__attribute__((target("avx"))) void CleanVectors(unsigned /*vcpu*/, void* /*user*/) {
  __builtin_ia32_vzeroupper();
}

}  // namespace

void CleanVectorsBefore(qemu_plugin_insn* instruction) {
  static const bool has_vectors = __builtin_cpu_supports("avx");
  const auto* const bytes = static_cast<const uint8_t*>(qemu_plugin_insn_data(instruction));
  if (!has_vectors || !IsFusedMultiplyAdd({bytes, qemu_plugin_insn_size(instruction)})) return;
  qemu_plugin_register_vcpu_insn_exec_cb(instruction, CleanVectors, QEMU_PLUGIN_CB_NO_REGS,
                                         nullptr);
}

}  // namespace coracle::characterize
