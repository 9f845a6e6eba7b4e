#include "characterize/reuse/epc_caches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <set>

namespace coracle::characterize {
namespace {

using Arrival = EpcCaches::Arrival;

/// One memory, as plainly as can be.
struct PlainMemory {
  size_t capacity;
  size_t run_max;
  std::list<uint32_t> fresh = {};
  std::list<uint32_t> proven = {};
  std::set<uint32_t> pinned = {};
  std::map<uint32_t, uint64_t> evicted_at = {};
  uint64_t loads = 0;
  uint64_t evictions = 0;

  void MakeRoom(size_t pages) {
    const size_t room = std::max<size_t>(capacity, pinned.size() + 16) - pinned.size();
    while (fresh.size() + proven.size() != 0 && fresh.size() + proven.size() + pages > room) {
      std::list<uint32_t>& queue = fresh.empty() ? proven : fresh;
      const uint32_t oldest = queue.front();
      for (uint32_t i = 0; i < run_max && !queue.empty() && queue.front() == oldest + i; ++i) {
        evicted_at[queue.front()] = evictions++;
        queue.pop_front();
      }
    }
  }
  void Touch(uint32_t id, Arrival arrival) {
    for (const auto* queue : {&fresh, &proven}) {
      if (std::find(queue->begin(), queue->end(), id) != queue->end()) return;
    }
    if (pinned.contains(id)) return;
    MakeRoom(1);
    loads += arrival == Arrival::kAgain ? 1 : 0;
    if (arrival != Arrival::kAgain) evicted_at.erase(id);
    const auto at = evicted_at.find(id);
    const bool soon = at != evicted_at.end() && evictions - at->second <= capacity / 2;
    (soon ? proven : fresh).push_back(id);
    while (proven.size() > capacity / 2) fresh.splice(fresh.end(), proven, proven.begin());
  }
  void Remove(uint32_t id) {
    pinned.erase(id);
    std::erase(fresh, id);
    std::erase(proven, id);
  }
  void Pin(uint32_t id) {
    if (pinned.contains(id)) return;
    Remove(id);
    pinned.insert(id);
    MakeRoom(0);
  }
};

TEST(EpcCaches, EqualsPlainLists) {
  for (const uint32_t run_max : {1u, 16u}) {
    const std::vector<uint64_t> capacities = {16, 40, 100, 230, 400};
    EpcCaches caches(capacities, run_max, 0);
    std::vector<PlainMemory> plain;
    for (const uint64_t capacity : capacities) plain.push_back({capacity, run_max});
    std::mt19937_64 random(run_max);
    std::set<uint32_t> touched;
    uint32_t id = 0;
    for (int step = 0; step < 40'000; ++step) {
      // Runs of neighbours, steps to elsewhere, and a few pages that come again and again.
      id = random() % 8 == 0 ? static_cast<uint32_t>(random() % 300) : (id + 1) % 300;
      const uint32_t touch = step % 5 == 0 ? static_cast<uint32_t>(step / 5 % 10) : id;
      const uint64_t what = random() % 400;
      if (what == 0) {
        caches.Remove(touch);
        for (PlainMemory& one : plain) one.Remove(touch);
        touched.erase(touch);
      } else if (what == 1) {
        caches.Pin(touch);
        for (PlainMemory& one : plain) one.Pin(touch);
        touched.insert(touch);
      } else {
        const bool first = touched.insert(touch).second;
        const Arrival arrival = first ? Arrival::kFirst : Arrival::kAgain;
        caches.Touch(touch, touch, arrival);
        for (PlainMemory& one : plain) one.Touch(touch, arrival);
      }
    }
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_EQ(caches.counts(i).loads, plain[i].loads) << i;
      EXPECT_EQ(caches.counts(i).evictions, plain[i].evictions) << i;
      EXPECT_EQ(caches.counts(i).resident_pages,
                plain[i].fresh.size() + plain[i].proven.size() + plain[i].pinned.size());
    }
    EXPECT_GT(plain[0].loads, plain[3].loads);
  }
}

TEST(EpcCaches, ALoopThatDoesNotFitMissesAlways) {
  EpcCaches caches({64, 128}, 16);
  for (int turn = 0; turn < 3; ++turn) {
    for (uint32_t id = 0; id < 100; ++id) {
      caches.Touch(id, id, turn == 0 ? Arrival::kFirst : Arrival::kAgain);
    }
  }
  EXPECT_EQ(caches.first_touches(), 100u);
  EXPECT_GT(caches.counts(0).loads, 150u);
  EXPECT_EQ(caches.counts(0).evictions + caches.counts(0).resident_pages,
            100 + caches.counts(0).loads);
  EXPECT_EQ(caches.counts(1).loads, 0u);
}

TEST(EpcCaches, WhatIsKeptIsNotFree) {
  EpcCaches with({64}, 16);
  EpcCaches without({64}, 16, 0);
  for (uint32_t id = 0; id < 64; ++id) {
    with.Touch(id, id, Arrival::kFirst);
    without.Touch(id, id, Arrival::kFirst);
  }
  EXPECT_EQ(with.counts(0).evictions, 16u);
  EXPECT_EQ(with.counts(0).resident_pages, 48u);
  EXPECT_EQ(without.counts(0).evictions, 0u);
}

TEST(EpcCaches, APageThatComesBackSoonStays) {
  EpcCaches caches({64}, 16);
  uint64_t loads = 0;
  for (uint32_t id = 1; id < 20'000; ++id) {
    caches.Touch(id * 2, id * 2, Arrival::kFirst);
    if (id == 1) caches.Touch(0, 0, Arrival::kFirst);
    caches.Touch(0, 0, Arrival::kAgain);
    loads = caches.counts(0).loads;
  }
  EXPECT_EQ(loads, 1u);
}

}  // namespace
}  // namespace coracle::characterize
