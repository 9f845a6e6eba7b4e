// Starts children in every way; each checks what it inherited. Ends as the image that it becomes.
//
//   children MIB
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static unsigned char* memory;
static size_t bytes;

static unsigned char Pattern(size_t i) { return (unsigned char)((i * 2654435761u) >> 11); }

static int Intact(void) {
  for (size_t i = 0; i < bytes; i += 509) {
    if (memory[i] != Pattern(i)) return 0;
  }
  return 1;
}

static void Check(int right, const char* name) {
  if (!right) {
    printf("WRONG %s\n", name);
    exit(1);
  }
  printf("ok %s\n", name);
}

static int ExitCode(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char** argv) {
  if (argc == 3) {  // the image that the last step becomes
    printf("ok exec, still process %s\n", getpid() == atoi(argv[2]) ? "itself" : "another");
    return 5;
  }
  if (argc != 2) return 2;
  setvbuf(stdout, NULL, _IONBF, 0);
  bytes = strtoull(argv[1], NULL, 10) << 20;
  memory = malloc(bytes);
  for (size_t i = 0; i < bytes; ++i) memory[i] = Pattern(i);
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const int right = Intact();
      memset(memory, i, bytes);
      _exit(right ? 40 + i : 1);
    }
    Check(Intact(), "the parent while its child writes");
    Check(ExitCode(child) == 40 + i, "fork");
  }
  const pid_t child = vfork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit 11", NULL);
    _exit(1);
  }
  Check(ExitCode(child) == 11, "vfork");
  char* const words[] = {"sh", "-c", "exit 12", NULL};
  pid_t spawned = 0;
  Check(
      posix_spawn(&spawned, "/bin/sh", NULL, NULL, words, environ) == 0 && ExitCode(spawned) == 12,
      "posix_spawn");
  Check(WEXITSTATUS(system("exit 13")) == 13, "system");
  FILE* pipe = popen("echo from a child", "r");
  char line[64] = {0};
  Check(fgets(line, sizeof line, pipe) != NULL && strcmp(line, "from a child\n") == 0 &&
            pclose(pipe) == 0,
        "popen");
  Check(Intact(), "the memory after all");
  char self[32];
  snprintf(self, sizeof self, "%d", (int)getpid());
  execl("/proc/self/exe", argv[0], "exec", self, NULL);
  return 1;
}
