#include "characterize/program/memory_map.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"

namespace coracle::characterize {

std::string_view MemoryKindName(MemoryKind kind) {
  static constexpr std::array<std::string_view, kMemoryKindCount> kNames = {
      "heap",   "anonymous", "stack",       "program data", "file",
      "shared", "weights",   "activations", "workspace",    "unknown"};
  return kNames[static_cast<size_t>(kind)];
}

MemoryMap::MemoryMap() { mappings_.emplace_back(); }

MappingIndex MemoryMap::Number(Mapping mapping) {
  if (mappings_.size() < kMappingsMax) mappings_.push_back(std::move(mapping));
  return MappingIndex{static_cast<uint32_t>(mappings_.size() - 1)};
}

void MemoryMap::Add(Mapping mapping) {
  if (mapping.bytes == 0) return;
  const uint64_t begin = mapping.begin;
  const uint64_t end = begin + mapping.bytes;
  Put({begin, end, Number(std::move(mapping))});
}

void MemoryMap::Put(Piece piece) {
  Remove(piece.begin, piece.end);
  pieces_[piece.begin] = piece;
}

void MemoryMap::Remove(uint64_t begin, uint64_t end) {
  auto at = pieces_.lower_bound(begin);
  if (at != pieces_.begin() && std::prev(at)->second.end > begin) {
    Piece& before = std::prev(at)->second;
    const Piece after{end, before.end, before.mapping};
    before.end = begin;
    if (after.begin < after.end) pieces_[after.begin] = after;
  }
  while (at != pieces_.end() && at->second.begin < end) {
    Piece rest = at->second;
    at = pieces_.erase(at);
    if (rest.end <= end) continue;
    rest.begin = end;
    pieces_[end] = rest;
  }
}

void MemoryMap::Move(uint64_t from, uint64_t from_bytes, uint64_t to, uint64_t to_bytes) {
  std::vector<Piece> moved;
  const uint64_t end = from + from_bytes;
  auto at = pieces_.upper_bound(from);
  if (at != pieces_.begin()) --at;
  for (; at != pieces_.end() && at->second.begin < end; ++at) {
    if (at->second.end <= from) continue;
    moved.push_back(
        {std::max(at->second.begin, from), std::min(at->second.end, end), at->second.mapping});
  }
  Remove(from, end);
  Remove(to, to + to_bytes);
  if (moved.empty()) return;
  if (moved.back().end == end) moved.back().end = from + std::max(from_bytes, to_bytes);
  for (Piece piece : moved) {
    piece.begin = piece.begin - from + to;
    piece.end = std::min(piece.end - from, to_bytes) + to;
    if (piece.begin >= piece.end) continue;
    Put(piece);
    Mapping& mapping = mappings_[Position(piece.mapping)];
    mapping.bytes = std::max(mapping.bytes, piece.end - piece.begin);
  }
}

void MemoryMap::SetBreak(uint64_t address) {
  if (!break_) {
    heap_begin_ = address;
    heap_ = Number({MemoryKind::kHeap, true, address, 0, "[heap]", false});
  } else if (address > *break_) {
    Put({*break_, address, heap_});
  } else if (address < *break_) {
    Remove(address, *break_);
  }
  break_ = address;
  Mapping& heap = mappings_[Position(heap_)];
  heap.bytes = std::max(heap.bytes, address - std::min(address, heap_begin_));
}

const MemoryMap::Piece* MemoryMap::Find(uint64_t address) const {
  auto at = pieces_.upper_bound(address);
  if (at == pieces_.begin()) return nullptr;
  --at;
  return address < at->second.end ? &at->second : nullptr;
}

namespace {

/// The next word of `line`, which loses it.
std::string_view NextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::optional<uint64_t> ParseHex(std::string_view text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// "begin-end rwxp offset device inode path"; `before`: the mapping of the line before.
std::optional<Mapping> ParseProcMapsLine(std::string_view line, const Mapping* before) {
  const std::string_view range = NextWord(line);
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto begin = ParseHex(range.substr(0, dash));
  const auto end = ParseHex(range.substr(dash + 1));
  const std::string_view rights = NextWord(line);
  if (!begin || !end || *begin >= *end || rights.size() != 4) return std::nullopt;
  const auto offset = ParseHex(NextWord(line));
  NextWord(line);
  NextWord(line);
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));

  Mapping mapping{MemoryKind::kStack,
                  line.empty() || line[0] == '[',
                  *begin,
                  *end - *begin,
                  std::string(line),
                  false,
                  offset.value_or(0)};
  const bool writable = rights[1] == 'w';
  if (rights[3] == 's') {
    mapping.kind = MemoryKind::kShared;
  } else if (!mapping.anonymous) {
    mapping.kind = writable ? MemoryKind::kProgramData : MemoryKind::kFile;
  } else if (before != nullptr && before->kind == MemoryKind::kProgramData && writable &&
             before->begin + before->bytes == mapping.begin) {
    mapping.kind = MemoryKind::kProgramData;
    mapping.name = before->name;
  }
  return mapping;
}

}  // namespace

std::vector<Mapping> ParseProcMaps(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto mapping = ParseProcMapsLine(line, mappings.empty() ? nullptr : &mappings.back());
    if (mapping) mappings.push_back(*std::move(mapping));
  }
  return mappings;
}

}  // namespace coracle::characterize
