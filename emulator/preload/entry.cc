#include "emulator/preload/entry.h"

// The restorer has no unwind information on purpose: unwinders then know it by its bytes
// (libgcc: x86_64_fallback_frame_state), as they do for libc's own.
asm(R"(
  .text
  .balign 16
  nop
  .globl epcrun_restorer
  .hidden epcrun_restorer
  .type epcrun_restorer, @function
epcrun_restorer:
  movq $15, %rax
  syscall
  .size epcrun_restorer, . - epcrun_restorer

  .balign 16
  .globl epcrun_resume
  .hidden epcrun_resume
  .type epcrun_resume, @function
epcrun_resume:
  movq %rdi, %rsp
  movl $15, %eax
  syscall
  hlt
  .size epcrun_resume, . - epcrun_resume

  # long epcrun_clone(flags, stack_end, parent_tid, child_tid, thread_pointer, start, argument)
  # The kernel takes (flags, stack, parent_tid, child_tid, tls) in rdi, rsi, rdx, r10, r8, and the
  # child starts with its parent's other registers.
  .balign 16
  .globl epcrun_clone
  .hidden epcrun_clone
  .type epcrun_clone, @function
epcrun_clone:
  movq %rcx, %r10
  movq 8(%rsp), %rax
  movq %rax, -16(%rsi)
  movq %r9, -8(%rsi)
  subq $16, %rsi
  movl $56, %eax
  syscall
  testq %rax, %rax
  jz 1f
  ret
1:
  xorl %ebp, %ebp
  popq %rdi
  popq %rax
  callq *%rax
  hlt
  .size epcrun_clone, . - epcrun_clone

  .balign 16
  .globl epcrun_call_on
  .hidden epcrun_call_on
  .type epcrun_call_on, @function
epcrun_call_on:
  .cfi_startproc
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  movq %rdi, %rsp
  movq %rdx, %rdi
  callq *%rsi
  movq %rbp, %rsp
  popq %rbp
  .cfi_def_cfa %rsp, 8
  ret
  .cfi_endproc
  .size epcrun_call_on, . - epcrun_call_on
)");
