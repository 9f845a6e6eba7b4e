// What the plugin does instead of analysing, when runs are to be compared (TracerWork::kDigests):
// QEMU's callbacks, handed on to AccessDigests.
#pragma once

#include <functional>
#include <string>

#include "characterize/tracer/orders.h"
#include "characterize/tracer/qemu_plugin.h"
#include "characterize/tracer/tracer.h"

namespace coracle::characterize {

/// Call once, before the program starts, if digests are what was ordered: the tracer's report of
/// the whole run has them under "digests" then. `read_maps`: the text of /proc/self/maps.
void StartDigests(const TracerOrders& orders, Tracer& tracer,
                  std::function<std::string()> read_maps);

// Without StartDigests these do nothing.

/// True: the block is taken care of. Requires: QEMU's translation lock.
bool DigestBlock(qemu_plugin_tb* block);
void DigestThreadStart(unsigned thread);
void DigestSystemCall(unsigned thread, int64_t number, uint64_t first, uint64_t second);

}  // namespace coracle::characterize
