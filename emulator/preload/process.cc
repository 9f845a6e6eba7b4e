#include "emulator/preload/process.h"

#include <linux/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "emulator/preload/raw_call.h"

namespace coracle::epc {

Process* the_process = nullptr;

bool DispatchSystemCalls(const Process& process) {
  return AskKernel(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, process.text_begin,
                   process.text_bytes, 0) == 0;
}

void UseAlternateStack(const ThreadBlock& block) {
  AlternateStack stack;
  stack.address = block.stack_begin();
  stack.flags = 0;
  stack.bytes = block.stack_end() - block.stack_begin();
  AskKernel(SYS_sigaltstack, &stack, nullptr);
}

void Say(const Line& line) {
  const char* const text = line.text();
  uint64_t bytes = 0;
  while (text[bytes] != '\0') ++bytes;
  const iovec parts[2] = {{const_cast<char*>(text), bytes}, {const_cast<char*>("\n"), 1}};
  AskKernel(SYS_writev, 2, parts, 2);
}

}  // namespace coracle::epc
