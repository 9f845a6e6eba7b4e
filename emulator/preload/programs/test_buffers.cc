// Buffers that the kernel reads and writes, larger than the EPC: files, pipes, sockets, stdio.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "emulator/preload/programs/test_check.h"

namespace {

using Buffer = std::vector<unsigned char>;
constexpr size_t kBytes = 24 << 20;

Buffer Pattern(unsigned seed) {
  Buffer bytes(kBytes);
  FillPattern(bytes.data(), bytes.size(), seed);
  return bytes;
}

ssize_t AsSize(size_t bytes) { return static_cast<ssize_t>(bytes); }

void Files() {
  std::FILE* const file = std::tmpfile();
  PROGRAM_CHECK(file != nullptr);
  const int fd = fileno(file);
  const Buffer bytes = Pattern(1);
  PROGRAM_CHECK(write(fd, bytes.data(), kBytes) == AsSize(kBytes));
  PROGRAM_CHECK(pwrite(fd, bytes.data(), kBytes, kBytes) == AsSize(kBytes));
  Buffer back(kBytes);
  PROGRAM_CHECK(pread(fd, back.data(), kBytes, kBytes) == AsSize(kBytes) && back == bytes);
  std::memset(back.data(), 0, kBytes);
  constexpr size_t kCut = kBytes / 2 + 3;
  iovec parts[2] = {{back.data(), kCut}, {back.data() + kCut, kBytes - kCut}};
  PROGRAM_CHECK(preadv(fd, parts, 2, 0) == AsSize(kBytes) && back == bytes);
  std::memset(back.data(), 0, kBytes);
  std::rewind(file);
  PROGRAM_CHECK(std::fread(back.data(), 1, kBytes, file) == kBytes && back == bytes);
  // A buffer that reaches past the file's end.
  Buffer longer(2 * kBytes + 5);
  PROGRAM_CHECK(pread(fd, longer.data(), longer.size(), kBytes) == AsSize(kBytes));
  PROGRAM_CHECK(std::memcmp(longer.data(), bytes.data(), kBytes) == 0);
  std::fclose(file);
}

void ReadAll(int fd, const Buffer& expected) {
  Buffer bytes(kBytes);
  size_t got = 0;
  while (got < kBytes) {
    const ssize_t now = read(fd, bytes.data() + got, kBytes - got);
    PROGRAM_CHECK(now > 0);
    got += static_cast<size_t>(now);
  }
  PROGRAM_CHECK(bytes == expected);
}

void ReceiveAll(int fd, const Buffer& expected) {
  Buffer bytes(kBytes);
  PROGRAM_CHECK(recv(fd, bytes.data(), kBytes, MSG_WAITALL) == AsSize(kBytes) && bytes == expected);
}

void SendMessages(int fd, Buffer& bytes) {
  for (size_t done = 0; done < kBytes;) {
    iovec rest = {bytes.data() + done, kBytes - done};
    msghdr message = {};
    message.msg_iov = &rest;
    message.msg_iovlen = 1;
    const ssize_t sent = sendmsg(fd, &message, 0);
    PROGRAM_CHECK(sent > 0);
    done += static_cast<size_t>(sent);
  }
}

void Streams() {
  int ends[2];
  PROGRAM_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  Buffer bytes = Pattern(2);
  std::thread by_write(ReadAll, ends[1], std::cref(bytes));
  PROGRAM_CHECK(write(ends[0], bytes.data(), kBytes) == AsSize(kBytes));
  by_write.join();
  std::thread by_writev(ReceiveAll, ends[1], std::cref(bytes));
  iovec parts[3] = {{bytes.data(), 5 << 20},
                    {bytes.data() + (5 << 20), 11},
                    {bytes.data() + (5 << 20) + 11, kBytes - (5 << 20) - 11}};
  PROGRAM_CHECK(writev(ends[0], parts, 3) == AsSize(kBytes));
  by_writev.join();
  std::thread by_messages(ReadAll, ends[1], std::cref(bytes));
  SendMessages(ends[0], bytes);
  by_messages.join();
  int pipe_ends[2];
  PROGRAM_CHECK(pipe(pipe_ends) == 0);
  std::thread by_pipe(ReadAll, pipe_ends[0], std::cref(bytes));
  PROGRAM_CHECK(write(pipe_ends[1], bytes.data(), kBytes) == AsSize(kBytes));
  by_pipe.join();
}

void Datagrams() {
  int ends[2];
  PROGRAM_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
  Buffer bytes = Pattern(3);
  Buffer back(bytes.size());
  constexpr size_t kDatagram = 60'000;
  for (size_t at = 0; at + kDatagram < kBytes; at += 40 * kDatagram) {
    PROGRAM_CHECK(send(ends[0], bytes.data() + at, kDatagram, 0) == AsSize(kDatagram));
    pollfd ready = {ends[1], POLLIN, 0};
    PROGRAM_CHECK(poll(&ready, 1, 1000) == 1 && ready.revents == POLLIN);
    PROGRAM_CHECK(recv(ends[1], back.data() + at, kDatagram, 0) == AsSize(kDatagram));
    PROGRAM_CHECK(std::memcmp(back.data() + at, bytes.data() + at, kDatagram) == 0);
  }
}

void Lines() {
  std::FILE* const file = std::tmpfile();
  constexpr int kLines = 200'000;
  for (int i = 0; i < kLines; ++i) std::fprintf(file, "line %d\n", i);
  std::rewind(file);
  char* line = nullptr;
  size_t room = 0;
  for (int i = 0; i < kLines; ++i) {
    const std::string expected = "line " + std::to_string(i) + "\n";
    PROGRAM_CHECK(getline(&line, &room, file) == AsSize(expected.size()) && expected == line);
  }
  PROGRAM_CHECK(getline(&line, &room, file) < 0);
  std::free(line);
  std::fclose(file);
}

void WrongAddresses() {
  char* volatile nowhere = reinterpret_cast<char*>(uintptr_t{8});
  PROGRAM_CHECK(open(nowhere, O_RDONLY) < 0 && errno == EFAULT);
  PROGRAM_CHECK(access(reinterpret_cast<char*>(-4096L), F_OK) < 0 && errno == EFAULT);
  const int fd = open("/dev/zero", O_RDONLY);
  PROGRAM_CHECK(read(fd, nowhere, 100) < 0 && errno == EFAULT);
  close(fd);
}

}  // namespace

int main() {
  Files();
  Streams();
  Datagrams();
  Lines();
  WrongAddresses();
  return 0;
}
