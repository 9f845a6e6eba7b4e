#include "characterize/digests/digest_findings.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string>

#include "characterize/analysis/system_calls.h"

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

/// The next hexadecimal number of `line`, and one character behind it, are taken off.
bool TakeHex(std::string_view& line, uint64_t& value) {
  const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), value, 16);
  if (error != std::errc() || stop == line.data() + line.size()) return false;
  line.remove_prefix(static_cast<size_t>(stop - line.data()) + 1);
  return true;
}

/// Appends [begin, end, offset, path] if a line of /proc/PID/maps is of a file with code that ran.
/// proc(5): "begin-end permissions offset device inode path".
void AddFile(std::string_view line, const std::set<uint64_t>& code, Json& files) {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t offset = 0;
  if (!TakeHex(line, begin) || !TakeHex(line, end)) return;
  line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
  const size_t slash = line.find('/');
  if (!TakeHex(line, offset) || slash == std::string_view::npos) return;
  const auto first = code.lower_bound(begin);
  if (first == code.end() || *first >= end) return;
  files.push_back({begin, end, offset, std::string(line.substr(line.find('/')))});
}

Json FilesJson(const std::set<uint64_t>& code, std::string_view maps) {
  Json files = Json::array();
  while (!maps.empty()) {
    const size_t bytes = std::min(maps.find('\n'), maps.size());
    AddFile(maps.substr(0, bytes), code, files);
    maps.remove_prefix(std::min(bytes + 1, maps.size()));
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
    const std::string_view name = SystemCallName(number);
    calls.push_back(
        {{"name", name.empty() ? "number " + std::to_string(number) : std::string(name)},
         {"calls", count}});
  }
  return {{"marks_seen", digests.marks_seen()}, {"threads", ThreadsJson(digests)},
          {"system_calls", std::move(calls)},   {"instructions", std::move(instructions)},
          {"blocks", std::move(blocks)},        {"files", FilesJson(code, maps)}};
}

}  // namespace coracle::characterize
