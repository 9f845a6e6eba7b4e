#include "characterize/digests/digest_findings.h"

#include <set>
#include <string>

#include "characterize/analysis/system_calls.h"
#include "characterize/program/memory_map.h"

namespace coracle::characterize {
namespace {

Json ThreadsJson(const AccessDigests& digests) {
  Json threads = Json::array();
  for (unsigned thread = 0; thread < AccessDigests::kThreadsMax; ++thread) {
    const AccessDigests::Streams* const streams = digests.StreamsOf(thread);
    if (streams == nullptr) continue;
    Json one = {{"thread", thread}};
    for (size_t i = 0; i < kAddressStreamCount; ++i) {
      const AddressDigest& digest = (*streams)[i];
      one[std::string(AddressStreamName(static_cast<AddressStream>(i)))] = {
          {"digest", digest.Hex()}, {"items", digest.items()}};
    }
    threads.push_back(std::move(one));
  }
  return threads;
}

/// [begin, end, offset, path] of each file mapping with code that ran.
Json FilesJson(const std::set<uint64_t>& code, std::string_view maps) {
  Json files = Json::array();
  for (const Mapping& mapping : ParseProcMaps(maps)) {
    if (mapping.anonymous || mapping.name[0] != '/') continue;
    const uint64_t end = mapping.begin + mapping.bytes;
    const auto first = code.lower_bound(mapping.begin);
    if (first == code.end() || *first >= end) continue;
    files.push_back({mapping.begin, end, mapping.file_offset, mapping.name});
  }
  return files;
}

}  // namespace

std::string_view AddressStreamName(AddressStream stream) {
  constexpr std::string_view kNames[kAddressStreamCount] = {
      "data_pages", "data_lines", "code_pages", "code_lines", "code_blocks"};
  return kNames[static_cast<size_t>(stream)];
}

Json DigestsJson(const AccessDigests& digests, std::string_view maps) {
  std::set<uint64_t> code;
  Json instructions = Json::array();
  for (const AccessDigests::Instruction& one : digests.Instructions()) {
    instructions.push_back({one.address, one.number, one.accesses, one.lines, one.pages});
    code.insert(one.address);
  }
  Json blocks = Json::array();
  for (const AccessDigests::BlockRuns& one : digests.Blocks()) {
    blocks.push_back({one.address, one.last_instruction, one.number, one.runs, one.followers});
    code.insert(one.last_instruction);
  }
  Json calls = Json::array();
  for (const auto& [number, count] : digests.SystemCalls()) {
    calls.push_back({{"name", SystemCallName(number)}, {"calls", count}});
  }
  return {{"marks_seen", digests.marks_seen()}, {"threads", ThreadsJson(digests)},
          {"system_calls", std::move(calls)},   {"instructions", std::move(instructions)},
          {"blocks", std::move(blocks)},        {"files", FilesJson(code, maps)}};
}

}  // namespace coracle::characterize
