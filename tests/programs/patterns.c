// Writes patterns into memory and checks them later, page by page, from several threads.
//
//   patterns MIB THREADS SECONDS   (0 seconds: two rounds)
//
// Each thread has a part of its own. Each round visits every page of it once, in another order:
// checks what the round before wrote, then writes what the next will check. Prints the pages that
// were checked; exit code 1 if one was wrong.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kWords = 4096 / 8, kThreadsMax = 64 };

struct Part {
  pthread_t thread;
  uint64_t* words;
  uint64_t pages;
  uint64_t checked;
  uint64_t wrong;
  uint64_t rounds;
};

static double seconds_left_at;

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t Mix(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static void Fill(uint64_t* page, uint64_t seed) {
  for (int i = 0; i < kWords; ++i) page[i] = Mix(seed + (uint64_t)i);
}

static int Holds(const uint64_t* page, uint64_t seed) {
  uint64_t difference = 0;
  for (int i = 0; i < kWords; ++i) difference |= page[i] ^ Mix(seed + (uint64_t)i);
  return difference == 0;
}

static uint64_t Seed(uint64_t page, uint64_t round) { return Mix(page * 1000003u + round) | 1; }

static void* Run(void* argument) {
  struct Part* part = argument;
  for (uint64_t page = 0; page < part->pages; ++page)
    Fill(part->words + page * kWords, Seed(page, 0));
  for (uint64_t round = 1;; ++round) {
    // An odd step visits every page of a number of pages that is a power of two; else in order.
    const int power = (part->pages & (part->pages - 1)) == 0;
    const uint64_t step = power && round % 2 == 1 ? Mix(round) | 1 : 1;
    uint64_t page = 0;
    for (uint64_t i = 0; i < part->pages; ++i) {
      page = power ? (page + step) & (part->pages - 1) : i;
      uint64_t* words = part->words + page * kWords;
      if (!Holds(words, Seed(page, round - 1))) ++part->wrong;
      ++part->checked;
      Fill(words, Seed(page, round));
    }
    part->rounds = round;
    if (round >= 2 && Now() >= seconds_left_at) return NULL;
  }
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const uint64_t bytes = strtoull(argv[1], NULL, 10) << 20;
  const int threads = atoi(argv[2]);
  if (threads < 1 || threads > kThreadsMax) return 2;
  seconds_left_at = Now() + atof(argv[3]);
  uint64_t* words = aligned_alloc(4096, bytes);
  if (words == NULL) return 3;
  static struct Part parts[kThreadsMax];
  for (int i = 0; i < threads; ++i) {
    parts[i].pages = bytes / 4096 / (uint64_t)threads;
    parts[i].words = words + (uint64_t)i * parts[i].pages * kWords;
    if (pthread_create(&parts[i].thread, NULL, Run, &parts[i]) != 0) return 3;
  }
  uint64_t checked = 0, wrong = 0, rounds = UINT64_MAX;
  for (int i = 0; i < threads; ++i) {
    pthread_join(parts[i].thread, NULL);
    checked += parts[i].checked;
    wrong += parts[i].wrong;
    if (parts[i].rounds < rounds) rounds = parts[i].rounds;
  }
  printf("checked %llu pages in %llu rounds or more, %llu wrong\n", (unsigned long long)checked,
         (unsigned long long)rounds, (unsigned long long)wrong);
  return wrong == 0 ? 0 : 1;
}
