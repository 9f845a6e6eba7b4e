// Hands memory to the kernel that was not touched for long, in every way that programs do.
//
//   kernel_buffers FOLDER HOG_MIB
//
// Before each call HOG_MIB of other memory are touched, so that under a smaller limit the buffers
// have been evicted. Prints "ok NAME" for each; exit code 1 at the first that is wrong.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kBig = 24 << 20, kSmall = 3 * 4096 + 17 };

static unsigned char* big;
static unsigned char* big_copy;
static unsigned char* hog;
static size_t hog_bytes;
static char path[4096];

static void Evict(void) {
  for (size_t i = 0; i < hog_bytes; i += 4096) hog[i]++;
}

static void Check(int right, const char* name) {
  if (!right) {
    printf("WRONG %s (errno %d: %s)\n", name, errno, strerror(errno));
    exit(1);
  }
  printf("ok %s\n", name);
}

static void FillBig(unsigned seed) {
  for (size_t i = 0; i < kBig; ++i) big[i] = (unsigned char)((i * 2654435761u + seed) >> 13);
}

static void Files(void) {
  FillBig(1);
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  Evict();
  Check(write(fd, big, kBig) == kBig, "write");
  Evict();
  Check(pread(fd, big_copy, kBig, 0) == kBig && memcmp(big, big_copy, kBig) == 0, "pread");
  memset(big_copy, 0, kBig);
  struct iovec parts[64];
  for (int i = 0; i < 64; ++i) parts[i] = (struct iovec){big_copy + i * (kBig / 64), kBig / 64};
  lseek(fd, 0, SEEK_SET);
  Evict();
  ssize_t got = readv(fd, parts, 64);
  // A short count is allowed: the rest follows.
  while (got > 0 && got < kBig) {
    const ssize_t more = read(fd, big_copy + got, kBig - (size_t)got);
    if (more <= 0) break;
    got += more;
  }
  Check(got == kBig && memcmp(big, big_copy, kBig) == 0, "readv");
  Evict();
  for (int i = 0; i < 64; ++i) parts[i].iov_base = big + (63 - i) * (kBig / 64);
  ssize_t put = pwritev(fd, parts, 8, 0);
  Check(put > 0 && pread(fd, big_copy, 4096, 0) == 4096 &&
            memcmp(big_copy, big + 63 * (kBig / 64), 4096) == 0,
        "pwritev");
  off_t offset = 0;
  const int second = open("/dev/null", O_WRONLY);
  Evict();
  Check(sendfile(second, fd, &offset, 4096) == 4096 && offset == 4096, "sendfile");
  struct stat* status = (struct stat*)(big + 4096 * 100 - 8);
  Evict();
  Check(fstat(fd, status) == 0 && status->st_size == kBig, "fstat");
  close(second);
  close(fd);
}

static void Streams(void) {
  FILE* file = fopen(path, "w+");
  char* line = (char*)big;
  int right = 1;
  for (int i = 0; i < 200; ++i) {
    memset(line, 'a' + i % 26, 5000 + (size_t)i);
    line[5000 + i] = '\n';
    if (i % 20 == 0) Evict();
    right = right && fwrite(line, 1, 5001 + (size_t)i, file) == 5001 + (size_t)i;
  }
  Check(right, "fwrite");
  rewind(file);
  char* text = NULL;
  size_t room = 0;
  for (int i = 0; i < 200; ++i) {
    if (i % 20 == 0) Evict();
    const ssize_t length = getline(&text, &room, file);
    right = right && length == 5001 + i && text[0] == 'a' + i % 26 && text[length - 2] == text[0];
  }
  Check(right, "getline");
  rewind(file);
  Evict();
  Check(fread(big_copy, 1, 900000, file) == 900000 && big_copy[0] == 'a', "fread");
  free(text);
  fclose(file);
}

static void* Drain(void* argument) {
  const int fd = *(int*)argument;
  size_t got = 0;
  while (got < kBig) {
    const ssize_t part = read(fd, big_copy + got, kBig - got);
    if (part <= 0) break;
    got += (size_t)part;
  }
  return (void*)got;
}

static void Sockets(void) {
  int ends[2];
  FillBig(2);
  memset(big_copy, 0, kBig);
  Check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  pthread_t drain;
  pthread_create(&drain, NULL, Drain, &ends[1]);
  Evict();
  size_t sent = 0;
  while (sent < kBig) {
    const ssize_t part = send(ends[0], big + sent, kBig - sent, 0);
    if (part <= 0) break;
    sent += (size_t)part;
  }
  void* drained = NULL;
  pthread_join(drain, &drained);
  Check(sent == kBig && (size_t)drained == kBig && memcmp(big, big_copy, kBig) == 0, "send, read");

  struct iovec out[2] = {{big, kSmall}, {big + kSmall, kSmall}};
  struct iovec in[2] = {{big_copy + 77, kSmall}, {big_copy + kBig / 2, kSmall}};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  }* control = (void*)(big + kBig - 8192);
  struct msghdr message = {0};
  message.msg_iov = out;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(sizeof(int));
  memset(control, 0, CMSG_SPACE(sizeof(int)));
  control->header.cmsg_level = SOL_SOCKET;
  control->header.cmsg_type = SCM_RIGHTS;
  control->header.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control->header), &ends[0], sizeof(int));
  Evict();
  Check(sendmsg(ends[0], &message, 0) == 2 * kSmall, "sendmsg");
  message.msg_iov = in;
  Evict();
  Check(recvmsg(ends[1], &message, 0) == 2 * kSmall && memcmp(big, big_copy + 77, kSmall) == 0 &&
            memcmp(big + kSmall, big_copy + kBig / 2, kSmall) == 0 &&
            message.msg_controllen >= CMSG_LEN(sizeof(int)),
        "recvmsg");
  struct sockaddr_un* address = (struct sockaddr_un*)(big + 4096 * 3 - 2);
  socklen_t* length = (socklen_t*)(big + 4096 * 9 - 2);
  *length = sizeof *address;
  Evict();
  Check(getsockname(ends[0], (struct sockaddr*)address, length) == 0 && *length == 2,
        "getsockname");
  close(ends[0]);
  close(ends[1]);
}

static void Waiting(void) {
  int ends[2];
  Check(pipe(ends) == 0, "pipe");
  struct pollfd* polled = (struct pollfd*)(big + 4096 * 5);
  *polled = (struct pollfd){ends[0], POLLIN, 0};
  Evict();
  Check(poll(polled, 1, 1) == 0, "poll");
  Check(write(ends[1], "x", 1) == 1, "write to a pipe");
  fd_set* set = (fd_set*)(big + 4096 * 6 - 16);
  FD_ZERO(set);
  FD_SET(ends[0], set);
  struct timeval* time = (struct timeval*)(big + 4096 * 8 - 8);
  *time = (struct timeval){1, 0};
  Evict();
  Check(select(ends[0] + 1, set, NULL, NULL, time) == 1 && FD_ISSET(ends[0], set), "select");
  const int epoll = epoll_create1(0);
  struct epoll_event* event = (struct epoll_event*)(big + 4096 * 10 - 4);
  *event = (struct epoll_event){.events = EPOLLIN, .data.u32 = 7};
  Evict();
  Check(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], event) == 0, "epoll_ctl");
  Evict();
  Check(epoll_wait(epoll, event, 4, 1000) == 1 && event->data.u32 == 7, "epoll_wait");
  int* bytes = (int*)(big + 4096 * 12 - 2);
  Evict();
  Check(ioctl(ends[0], FIONREAD, bytes) == 0 && *bytes == 1, "ioctl");
  struct timespec* pause = (struct timespec*)(big + 4096 * 14 - 8);
  *pause = (struct timespec){0, 1000000};
  Evict();
  Check(nanosleep(pause, pause) == 0, "nanosleep");
  close(epoll);
  close(ends[0]);
  close(ends[1]);
}

static volatile sig_atomic_t handled;
static void OnSignal(int number) {
  hog[0]++;
  handled = number;
}

static void Others(const char* folder) {
  char* where = (char*)big + 4096 * 20 - 50;
  Evict();
  Check(chdir(folder) == 0 && getcwd(where, 4096) != NULL, "getcwd");
  struct utsname* name = (struct utsname*)(big + 4096 * 30 - 100);
  Evict();
  Check(uname(name) == 0 && strcmp(name->sysname, "Linux") == 0, "uname");
  DIR* entries = opendir("/");
  int count = 0;
  Evict();
  while (readdir(entries) != NULL) ++count;
  closedir(entries);
  Check(count > 2, "getdents");
  strcpy(where, path);
  Evict();
  Check(access(where, R_OK) == 0, "access");
  ssize_t length = readlink("/proc/self/exe", where, 4096);
  Check(length > 0, "readlink");
  struct sigaction* action = (struct sigaction*)(big + 4096 * 40 - 20);
  memset(action, 0, sizeof *action);
  action->sa_handler = OnSignal;
  Evict();
  Check(sigaction(SIGUSR1, action, NULL) == 0 && kill(getpid(), SIGUSR1) == 0 && handled == SIGUSR1,
        "sigaction");
  int* status = (int*)(big + 4096 * 50 - 2);
  big[kBig - 5] = 9;
  Evict();
  const pid_t child = fork();
  if (child == 0) _exit(big[kBig - 5]);
  Evict();
  Check(waitpid(child, status, 0) == child && WEXITSTATUS(*status) == 9, "waitpid");
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  snprintf(path, sizeof path, "%s/kernel_buffers.bin", argv[1]);
  hog_bytes = strtoull(argv[2], NULL, 10) << 20;
  big = malloc(kBig);
  big_copy = malloc(kBig);
  hog = malloc(hog_bytes);
  if (big == NULL || big_copy == NULL || hog == NULL) return 3;
  memset(big_copy, 0, kBig);
  Files();
  Streams();
  Sockets();
  Waiting();
  Others(argv[1]);
  unlink(path);
  printf("all ok\n");
  return 0;
}
