// Allocates, grows, hands over between threads, checks and frees blocks of all sizes.
//
//   malloc_stress THREADS STEPS
//
// Each block carries a pattern of its own from its first byte to its last. Blocks live in slots
// that all threads share, so one thread often frees what another made. Exit code 1 if a pattern is
// wrong.
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kSlots = 512, kThreadsMax = 64 };

struct Block {
  size_t bytes;
  uint8_t seed;
  uint8_t data[];
};

static _Atomic(struct Block*) slots[kSlots];
static atomic_ulong wrong;
static uint64_t steps;

static uint64_t Next(uint64_t* state) {  // xorshift64
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void Fill(struct Block* block, size_t from) {
  for (size_t i = from; i < block->bytes; ++i) block->data[i] = (uint8_t)(block->seed + i * 7);
}

static void Check(const struct Block* block, size_t bytes) {
  uint8_t difference = 0;
  for (size_t i = 0; i < bytes; ++i) {
    difference |= (uint8_t)(block->data[i] ^ (uint8_t)(block->seed + i * 7));
  }
  if (difference != 0) atomic_fetch_add(&wrong, 1);
}

static size_t Size(uint64_t random) {
  const unsigned kind = random % 100;
  random >>= 8;
  if (kind < 60) return random % 512;
  if (kind < 90) return random % 16384;
  if (kind < 99) return random % (256 << 10);
  return random % (1 << 20);  // mapped on its own by most allocators
}

static struct Block* Make(uint64_t* state) {
  const size_t bytes = Size(Next(state));
  const uint64_t random = Next(state);
  struct Block* block = NULL;
  switch (random % 4) {
    case 0:
      block = calloc(1, sizeof *block + bytes);
      for (size_t i = 0; block != NULL && i < bytes; ++i) {
        if (block->data[i] != 0) atomic_fetch_add(&wrong, 1);
      }
      break;
    case 1:
      if (posix_memalign((void**)&block, (size_t)16 << (random >> 8) % 12, sizeof *block + bytes) !=
          0) {
        block = NULL;
      }
      break;
    default:
      block = malloc(sizeof *block + bytes);
  }
  if (block == NULL) exit(3);
  block->bytes = bytes;
  block->seed = (uint8_t)(random >> 32);
  Fill(block, 0);
  return block;
}

static struct Block* Grow(struct Block* block, uint64_t* state) {
  const size_t before = block->bytes;
  const size_t bytes = Size(Next(state));
  block = realloc(block, sizeof *block + bytes);
  if (block == NULL) exit(3);
  Check(block, bytes < before ? bytes : before);
  block->bytes = bytes;
  Fill(block, bytes < before ? bytes : before);
  return block;
}

static void* Run(void* argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 0x9e3779b97f4a7c15u + 1;
  for (uint64_t i = 0; i < steps; ++i) {
    const uint64_t random = Next(&state);
    struct Block* block = atomic_exchange(&slots[random % kSlots], NULL);
    if (block == NULL) {
      block = Make(&state);
    } else {
      Check(block, block->bytes);
      if (random >> 60 < 6) {
        free(block);
        block = NULL;
      } else if (random >> 60 < 10) {
        block = Grow(block, &state);
      }
    }
    if (block != NULL) block = atomic_exchange(&slots[(random >> 16) % kSlots], block);
    free(block);
    if (i % 4096 == 0) malloc_trim(0);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int threads = atoi(argv[1]);
  steps = strtoull(argv[2], NULL, 10);
  if (threads < 1 || threads > kThreadsMax) return 2;
  pthread_t running[kThreadsMax];
  for (int i = 0; i < threads; ++i) {
    if (pthread_create(&running[i], NULL, Run, (void*)(uintptr_t)(i + 1)) != 0) return 3;
  }
  for (int i = 0; i < threads; ++i) pthread_join(running[i], NULL);
  for (int i = 0; i < kSlots; ++i) {
    if (slots[i] != NULL) Check(slots[i], slots[i]->bytes);
    free(slots[i]);
  }
  printf("%llu steps in each of %d threads, %lu wrong\n", (unsigned long long)steps, threads,
         wrong);
  return wrong == 0 ? 0 : 1;
}
