#include "characterize/program/function_table.h"

#include <fmt/format.h>

#include <utility>

#include "base/index.h"
#include "characterize/program/function_name.h"

namespace coracle::characterize {
namespace {

std::string WithoutFolders(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

FunctionTable::FunctionTable() {
  names_.functions.push_back({"(unknown)", ""});
  names_.call_paths.emplace_back();
}

FunctionTable::File& FunctionTable::FileOf(const std::string& path) {
  const auto [at, added] = files_.try_emplace(path);
  if (added) at->second.elf = ElfFile::Read(path);
  return at->second;
}

FunctionIndex FunctionTable::Find(const Mapping& mapping, uint64_t address) {
  // What is not mapped from a file was made by the program itself.
  if (mapping.anonymous || mapping.name.empty() || address < mapping.begin) return {};
  File& file = FileOf(mapping.name);
  const auto found = file.elf.Find(address - mapping.begin + mapping.file_offset);
  if (!found) return {};
  if (const auto known = file.functions.find(found->begin); known != file.functions.end()) {
    return known->second;
  }
  if (names_.functions.size() == kFunctionsMax) return {};
  const FunctionIndex index{static_cast<uint16_t>(names_.functions.size())};
  std::string name_of_file = WithoutFolders(mapping.name);
  std::string name = found->name.empty() ? fmt::format("{}+{:#x}", name_of_file, found->begin)
                                         : ReadableFunctionName(found->name);
  names_.functions.push_back({std::move(name), std::move(name_of_file)});
  file.functions.emplace(found->begin, index);
  return index;
}

void FunctionTable::SetName(const Mapping& mapping, uint64_t address, const std::string& name) {
  const FunctionIndex function = Find(mapping, address);
  if (function == FunctionIndex{} || name.empty()) return;
  const auto found = FileOf(mapping.name).elf.Find(address - mapping.begin + mapping.file_offset);
  if (!found->name.empty()) return;
  names_.functions[Position(function)].name = ReadableFunctionName(name);
}

bool FunctionTable::IsAllocation(FunctionIndex function) const {
  return names_.functions[Position(function)].name.rfind("operator new", 0) == 0;
}

CallPathIndex FunctionTable::PathOf(std::span<const FunctionIndex> functions) {
  while (!functions.empty() && IsAllocation(functions[0])) functions = functions.subspan(1);
  if (functions.size() > kPathFramesMax) functions = functions.first(kPathFramesMax);
  std::vector<FunctionIndex> path(functions.begin(), functions.end());
  if (path.empty()) return {};
  if (const auto known = paths_.find(path); known != paths_.end()) return known->second;
  if (names_.call_paths.size() == kPathsMax) return {};
  const CallPathIndex index{static_cast<uint32_t>(names_.call_paths.size())};
  std::vector<std::string>& frames = names_.call_paths.emplace_back();
  for (const FunctionIndex function : path)
    frames.push_back(names_.functions[Position(function)].name);
  paths_.emplace(std::move(path), index);
  return index;
}

}  // namespace coracle::characterize
