#include "characterize/tracer/tracer.h"

#include <elf.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

#include "characterize/findings.h"

namespace coracle::characterize {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr double kReportSecondsLeast = 0.1;
constexpr double kReportSecondsMost = 5;

/// The program's files are QEMU's.
std::string NameOfFile(uint64_t descriptor) {
  char name[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(static_cast<int>(descriptor));
  const ssize_t bytes = ::readlink(link.c_str(), name, sizeof(name));
  return bytes > 0 ? std::string(name, static_cast<size_t>(bytes)) : std::string();
}

/// False: `path` is as it was.
bool ReplaceFile(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";
  std::FILE* const file = std::fopen(temporary.c_str(), "we");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  return written && closed && std::rename(temporary.c_str(), path.c_str()) == 0;
}

/// Where the program begins: what its ELF header says, from where it was placed. 0: not known.
uint64_t EntryOf(const std::string& path, const std::vector<Mapping>& mappings) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return 0;
  Elf64_Ehdr header{};
  const size_t read = std::fread(&header, sizeof(header), 1, file);
  std::fclose(file);
  if (read != 1 || header.e_type == ET_EXEC) return header.e_entry;
  const auto first = std::find_if(mappings.begin(), mappings.end(),
                                  [&](const Mapping& mapping) { return mapping.name == path; });
  return first == mappings.end() ? 0 : first->begin + header.e_entry;
}

}  // namespace

Tracer::Tracer(const TracerOrders& orders)
    : orders_(orders),
      begin_(steady_clock::now()),
      analysis_(orders.analysis),
      calls_(NameOfFile) {}

void Tracer::OnStart(std::string_view maps) {
  const std::lock_guard held(lock_);
  const std::vector<Mapping> mappings = ParseProcMaps(maps);
  for (const Mapping& mapping : mappings) analysis_.Map(mapping);
  entry_ = EntryOf(orders_.program_path, mappings);
}

void Tracer::OnThreadStart(unsigned thread) {
  const std::lock_guard held(lock_);
  if (thread >= kThreadsMax) {
    ++threads_lost_;
    return;
  }
  if (recorders_[thread] == nullptr) recorders_[thread] = std::make_unique<ThreadRecorder>();
  threads_peak_ = std::max(threads_peak_, ++threads_now_);
}

void Tracer::OnThreadEnd(unsigned thread) {
  const std::lock_guard held(lock_);
  if (thread >= kThreadsMax) return;
  FlushLocked(thread);
  --threads_now_;
}

uint32_t Tracer::SiteOf(uint64_t address, uint64_t bytes) {
  const std::lock_guard held(lock_);
  if (address == entry_) analysis_.Begin();
  code_pages_.insert(address >> kPageShift);
  code_pages_.insert((address + bytes - 1) >> kPageShift);
  return sites_.try_emplace(address, static_cast<uint32_t>(sites_.size())).first->second;
}

void Tracer::Flush(unsigned thread) {
  const std::lock_guard held(lock_);
  FlushLocked(thread);
}

void Tracer::FlushLocked(unsigned thread) {
  counted_[thread] = {recorders_[thread]->patterns(), recorders_[thread]->split()};
  const auto runs = recorders_[thread]->Take();
  if (following_) analysis_.Consume(runs);
}

void Tracer::OnSystemCall(unsigned thread, const SystemCall& call) {
  const std::lock_guard held(lock_);
  if (!following_) return;
  calls_.Enter(call);
  if (thread < kThreadsMax) {
    FlushLocked(thread);
    pending_[thread] = call;
  }
  // From here on another program may run, which takes this one's findings with it.
  if (calls_.replaced()) WriteReportLocked(true);
}

void Tracer::OnSystemCallReturn(unsigned thread, int64_t result) {
  const std::lock_guard held(lock_);
  if (!following_ || thread >= kThreadsMax) return;
  calls_.Return(pending_[thread], result, analysis_);
}

void Tracer::OnEnd() {
  const std::lock_guard held(lock_);
  if (!following_) return;
  for (unsigned thread = 0; thread < kThreadsMax; ++thread) {
    if (recorders_[thread] != nullptr) FlushLocked(thread);
  }
  WriteReportLocked(true);
  ended_ = true;
}

void Tracer::OnDeath() {
  const std::lock_guard held(lock_);
  if (!following_ || ended_) return;
  // The buffers of threads that run are theirs.
  for (unsigned thread = 0; thread < kThreadsMax && threads_now_ == 1; ++thread) {
    if (recorders_[thread] != nullptr) FlushLocked(thread);
  }
  WriteReportLocked(false);
  ended_ = true;
}

void Tracer::Refuse(std::string why) {
  const std::lock_guard held(lock_);
  refusal_ = std::move(why);
  WriteReportLocked(false);
  following_ = false;
}

void Tracer::AfterForkInChild() {
  following_ = false;
  lock_.unlock();
}

void Tracer::ReportForever() {
  for (;;) {
    const double elapsed = duration<double>(steady_clock::now() - begin_).count();
    const double pause = std::clamp(elapsed / 4, kReportSecondsLeast, kReportSecondsMost);
    std::this_thread::sleep_for(duration<double>(pause));
    const std::lock_guard held(lock_);
    if (ended_ || !following_) return;
    WriteReportLocked(false);
  }
}

void Tracer::WriteReportLocked(bool complete) {
  analysis_.Settle();
  PatternCounts patterns = {};
  uint64_t split = 0;
  for (const Counted& counted : counted_) {
    for (size_t i = 0; i < kPatternCount; ++i) patterns[i] += counted.patterns[i];
    split += counted.split;
  }
  Json json = {{"version", kFindingsVersion},
               {"complete", complete},
               {"replaced", calls_.replaced()},
               {"seconds", duration<double>(steady_clock::now() - begin_).count()}};
  if (!refusal_.empty()) json["refused"] = refusal_;
  json.update(AnalysisJson(analysis_));
  json["accesses"]["split"] = split;
  json["patterns"] = PatternsJson(patterns);
  json["code_bytes"] = code_pages_.size() << kPageShift;
  json["threads_peak"] = threads_peak_;
  json["threads_lost"] = threads_lost_;
  json.update(SystemCallsJson(calls_));
  // What cannot be written now may be in a moment; the last report stays meanwhile.
  static_cast<void>(
      ReplaceFile(orders_.report_path, json.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace coracle::characterize
