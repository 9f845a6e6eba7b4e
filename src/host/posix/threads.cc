#include "host/posix/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "host/posix/system_error.h"

namespace coracle::host {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

class PosixThread final : public Thread {
 public:
  explicit PosixThread(std::function<void()> body) : body_(std::move(body)) {}
  ~PosixThread() override {
    if (started_) CORACLE_CHECK(::pthread_join(thread_, nullptr) == 0);
  }

  /// errno's value, 0 if the thread runs.
  int Start() {
    pthread_attr_t attributes;
    if (const int error = ::pthread_attr_init(&attributes); error != 0) return error;
    int error = ::pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    if (error == 0) error = CreateWithSignalsBlocked(attributes);
    ::pthread_attr_destroy(&attributes);
    started_ = error == 0;
    return error;
  }

 private:
  int CreateWithSignalsBlocked(const pthread_attr_t& attributes) {
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int fault : {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP}) {
      ::sigdelset(&blocked, fault);
    }
    sigset_t before;
    if (const int error = ::pthread_sigmask(SIG_SETMASK, &blocked, &before); error != 0) {
      return error;
    }
    const int error = ::pthread_create(&thread_, &attributes, &PosixThread::Run, this);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return error;
  }

  static void* Run(void* self) {
    static_cast<PosixThread*>(self)->body_();
    return nullptr;
  }

  std::function<void()> body_;
  pthread_t thread_{};
  bool started_ = false;
};

/// The kernel only reads the word; its interface has no const.
uint32_t* Word(const std::atomic<uint32_t>& word) {
  return const_cast<uint32_t*>(reinterpret_cast<const uint32_t*>(&word));
}

}  // namespace

Result<std::unique_ptr<Thread>> PosixThreads::Start(std::function<void()> body) {
  auto thread = std::make_unique<PosixThread>(std::move(body));
  if (const int error = thread->Start(); error != 0) {
    return SystemError("start", "a worker thread", error);
  }
  return std::unique_ptr<Thread>(std::move(thread));
}

void PosixThreads::Wait(const std::atomic<uint32_t>& word, uint32_t expected) {
  // Any return means "look again": a wake-up, a signal, or a word that has changed already.
  (void)::syscall(SYS_futex, Word(word), FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void PosixThreads::WakeAll(const std::atomic<uint32_t>& word) {
  (void)::syscall(SYS_futex, Word(word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace coracle::host
