// While it predicts, the engine core allocates nothing and calls the system for nothing (one
// thread), or for futex alone (several). Proved with a counting allocator, and with seccomp filters
// in a child process that dies otherwise.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "crypto/test_malloc_count.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "host/posix/threads.h"
#include "plan/test_cascades.h"
#include "runtime/sealed_graph_for_test.h"
#include "runtime/session.h"

namespace coracle::runtime {
namespace {

constexpr uint32_t kSize = 17;

/// From now on this process (all of its threads) dies on any system call but exit_group and, if
/// allowed, futex.
bool AllowOnly(bool futex) {
  constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
  std::array<sock_filter, 5> code = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, futex ? static_cast<uint32_t>(__NR_futex) : 0xFFFFFFFF, 1,
               0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

struct Case {
  uint32_t threads = 1;
  bool cascade = false;  ///< rows through rings, tensors outside
  uint32_t batch = 1;
  Coding coding = Coding::kNone;
};

struct Ready {
  SealedGraph sealed;
  host::PosixMemory memory;
  host::PosixThreads threads;
  host::PosixEntropy entropy;
  host::PosixOutsideMemory outside_memory;
  std::unique_ptr<ProcessSeal> seal;
  std::unique_ptr<Session> session;

  explicit Ready(const Case& c)
      : sealed(SealInMemory(MakeTestGraph(kSize, 1), host::BlobAccess::kView, c.coding)) {
    auto drawn = ProcessSeal::Create(entropy, memory, crypto::PreferredAeadBackend());
    CORACLE_CHECK(drawn.ok());
    seal = std::move(drawn).value();
    const plan::Plan plan = c.cascade ? Cascade(c) : Planned(c);
    CORACLE_CHECK(plan.threads == c.threads);
    auto made = Session::Create(*sealed.model, plan, kernels::SimdKernels(),
                                {&memory, &threads, nullptr, seal.get(), &outside_memory});
    CORACLE_CHECK(made.ok());
    session = std::move(made).value();
    session->WriteInput(0, 0, TestInput(c.batch * 3 * kSize * kSize));
  }

  plan::Plan Planned(const Case& c) const {
    plan::PlanRequest request;
    request.threads = c.threads;
    request.batch = c.batch;
    // Pinned chunks would not be decoded any more.
    if (c.coding == Coding::kCoded) request.pinning = plan::Pinning::kNone;
    auto plan = plan::MakePlan(sealed.model->manifest().graph, request);
    CORACLE_CHECK(plan.ok());
    return std::move(plan).value();
  }
  /// Every other tensor is sealed in host memory.
  plan::Plan Cascade(const Case& c) const {
    const graph::Graph& graph = sealed.model->manifest().graph;
    plan::CascadeOptions options;
    options.cuts = {2, 4};
    options.workers = c.threads;
    options.batch = c.batch;
    options.block_rows = 2;
    for (uint32_t i = 0; i < graph.tensors.size(); i += 2) {
      options.outside.push_back(static_cast<graph::TensorIndex>(i));
    }
    return plan::MakeCascadePlan(graph, options);
  }
};

class QuietRunTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!crypto::MallocIsCounted())
      GTEST_SKIP() << "a sanitizer owns malloc and makes calls of its own";
  }
};

TEST_P(QuietRunTest, AllocatesNothing) {
  const Ready ready(GetParam());
  ASSERT_TRUE(ready.session->Run().ok());  // a first run may bind library functions
  const uint64_t before = crypto::MallocCount();
  const Status done = ready.session->Run();
  const uint64_t after = crypto::MallocCount();
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(after - before, 0U);
}

TEST_P(QuietRunTest, CallsTheSystemForNothingButFutex) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Ready ready(GetParam());
    // A first run waits until every worker is up: the C library makes calls of its own while a
    // thread starts.
    if (!ready.session->Run().ok() || !AllowOnly(GetParam().threads > 1)) _exit(3);
    const bool done = ready.session->Run().ok() && ready.session->Run().ok();
    syscall(SYS_exit_group, done ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_FALSE(WIFSIGNALED(status))
      << "killed by signal " << WTERMSIG(status) << ": a system call was made";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

INSTANTIATE_TEST_SUITE_P(Plans, QuietRunTest,
                         testing::Values(Case{1, false}, Case{2, false}, Case{1, true},
                                         Case{2, true}, Case{1, false, 3}, Case{2, true, 3},
                                         Case{1, false, 1, Coding::kCoded},
                                         Case{2, false, 1, Coding::kCoded}));

}  // namespace
}  // namespace coracle::runtime
