#include "characterize/tracer/tracer.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

#include "base/epc_mark.h"
#include "characterize/analysis/findings.h"
#include "characterize/program/program_memory.h"

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

}  // namespace

Tracer::Tracer(const TracerOrders& orders)
    : orders_(orders),
      begin_(steady_clock::now()),
      analysis_(orders.analysis),
      calls_(NameOfFile),
      recorder_loading_(orders.recorder_path) {}

void Tracer::OnStart(std::string_view maps) {
  const std::lock_guard held(lock_);
  for (Mapping& mapping : ParseProcMaps(maps)) {
    const ElfFile elf = entry_ == 0 && mapping.name == orders_.program_path
                            ? ElfFile::Read(mapping.name)
                            : ElfFile();
    if (elf.entry() != 0) {
      entry_ = elf.entry() + (elf.relocatable() ? mapping.begin : 0);
      statically_linked_ = !elf.has_interpreter();
    }
    analysis_.Map(std::move(mapping));
  }
}

void Tracer::OnThreadStart(unsigned thread) {
  const std::lock_guard held(lock_);
  if (!following_) return;
  if (thread >= kThreadsMax) {
    ++threads_lost_;
    return;
  }
  if (threads_[thread] == nullptr) threads_[thread] = std::make_unique<Thread>();
  threads_[thread]->calls = CallStack();
  followed_[thread].store(threads_[thread].get(), std::memory_order_relaxed);
  threads_peak_ = std::max(threads_peak_, ++threads_now_);
}

void Tracer::OnThreadEnd(unsigned thread) {
  const std::lock_guard held(lock_);
  if (FollowedThread(thread) == nullptr) return;
  FlushLocked(thread);
  --threads_now_;
}

FunctionIndex Tracer::FunctionAt(uint64_t address) {
  const MemoryMap::Piece* const piece = analysis_.map().Find(address);
  return piece == nullptr ? FunctionIndex{}
                          : functions_.Find(analysis_.map().mapping(piece->mapping), address);
}

Tracer::Instruction Tracer::OnInstruction(uint64_t address, std::span<const uint8_t> bytes) {
  const std::lock_guard held(lock_);
  if (!following_) return {};
  Instruction instruction;
  instruction.call = ClassifyCall(bytes);
  if (recorder_loading_.Holds(address)) return instruction;
  if (address == entry_) analysis_.Begin();
  code_pages_.insert(address >> kPageShift);
  code_pages_.insert((address + bytes.size() - 1) >> kPageShift);
  instruction.counted = true;
  instruction.site =
      sites_.try_emplace(address, static_cast<uint32_t>(sites_.size())).first->second;
  instruction.function = FunctionAt(address);
  return instruction;
}

CallPathIndex Tracer::PathOf(unsigned thread) {
  std::vector<FunctionIndex> path;
  const std::span<const CallStack::Frame> frames = threads_[thread]->calls.frames();
  // Some more than are kept: the innermost may be of operator new.
  constexpr size_t kFramesMax = FunctionTable::kPathFramesMax + 4;
  for (size_t i = frames.size(); i-- > 0 && path.size() < kFramesMax;) {
    // Of the call itself: what follows it may belong to another function.
    const uint64_t call = frames[i].return_address - 1;
    if (!recorder_loading_.Holds(call)) path.push_back(FunctionAt(call));
  }
  return functions_.PathOf(path);
}

void Tracer::Flush(unsigned thread) {
  const std::lock_guard held(lock_);
  FlushLocked(thread);
}

void Tracer::FlushLocked(unsigned thread) {
  ThreadRecorder& recorder = threads_[thread]->recorder;
  const auto runs = recorder.Take();
  if (!following_) return;
  counted_[thread] = {recorder.patterns(), recorder.split()};
  // What the loader reads in the library that we have preloaded, it would not without.
  size_t begin = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!recorder_loading_.Holds(runs[i].line << kLineShift)) continue;
    analysis_.Consume(runs.subspan(begin, i - begin));
    begin = i + 1;
  }
  analysis_.Consume(runs.subspan(begin));
}

void Tracer::TakeNote(const SystemCall& note, CallPathIndex path) {
  if (!TraceNotes::NamesFunction(note)) return notes_.Take(note, path, analysis_);
  const uint64_t function = note.arguments[2];
  if (const MemoryMap::Piece* const piece = analysis_.map().Find(function)) {
    functions_.SetName(analysis_.map().mapping(piece->mapping), function,
                       TextFromProgram(note.arguments[3], TraceNotes::kNameBytesMax));
  }
}

void Tracer::OnSystemCall(unsigned thread, const SystemCall& call) {
  const std::lock_guard held(lock_);
  if (!following_) return;
  const bool followed = FollowedThread(thread) != nullptr;
  if (followed) FlushLocked(thread);
  Caller caller = Caller::kProgram;
  if (TraceNotes::IsNote(call)) {
    caller = Caller::kNote;
    TakeNote(call, followed && TraceNotes::NeedsPath(call) ? PathOf(thread) : CallPathIndex{});
  } else if (recorder_loading_.Makes(call)) {
    caller = Caller::kLoaderForUs;
  } else {
    calls_.Enter(call);
  }
  if (followed) pending_[thread] = {call, caller};
  // From here on another program may run, which takes this one's findings with it.
  if (calls_.replaced()) WriteReportLocked(true);
}

void Tracer::OnSystemCallReturn(unsigned thread, int64_t result) {
  const std::lock_guard held(lock_);
  if (!following_ || FollowedThread(thread) == nullptr) return;
  const auto& [call, caller] = pending_[thread];
  switch (caller) {
    case Caller::kNote:
      return;
    case Caller::kLoaderForUs:
      recorder_loading_.Return(call, result);
      // Where it lies is known as for any other library; nothing else of the call counts.
      if (call.number == SYS_mmap && result >= 0) calls_.Return(call, result, analysis_);
      return;
    case Caller::kProgram:
      calls_.Return(call, result, analysis_);
      if (call.number == SYS_prctl && call.arguments[0] == uint64_t{kEpcMarkCall}) {
        OnMark(call.arguments[1]);
      }
      return;
  }
}

void Tracer::OnMark(uint64_t label) {
  if (orders_.from_mark == label && !from_mark_seen_) {
    from_mark_seen_ = true;
    counted_before_ = CountedSoFar();
    analysis_.Restart();
    calls_.Restart();
    notes_.Restart();
    return;
  }
  if (orders_.to_mark != label || (orders_.from_mark && !from_mark_seen_)) return;
  to_mark_seen_ = true;
  FinishLocked();
}

void Tracer::FinishLocked() {
  WriteReportLocked(true);
  StopFollowing();
}

void Tracer::StopFollowing() {
  following_ = false;
  // Threads may be within a recorder: those stay, and are no longer met.
  for (auto& thread : followed_) thread.store(nullptr, std::memory_order_relaxed);
}

void Tracer::OnEnd() {
  const std::lock_guard held(lock_);
  if (!following_) return;
  for (unsigned thread = 0; thread < kThreadsMax; ++thread) {
    if (threads_[thread] != nullptr) FlushLocked(thread);
  }
  FinishLocked();
}

void Tracer::OnDeath() {
  const std::lock_guard held(lock_);
  if (!following_ || death_reported_) return;
  // The buffers of threads that run are theirs.
  for (unsigned thread = 0; thread < kThreadsMax && threads_now_ == 1; ++thread) {
    if (threads_[thread] != nullptr) FlushLocked(thread);
  }
  WriteReportLocked(false);
  death_reported_ = true;
}

void Tracer::Refuse(std::string why) {
  const std::lock_guard held(lock_);
  refusal_ = std::move(why);
  WriteReportLocked(false);
  StopFollowing();
}

void Tracer::AfterForkInChild() {
  StopFollowing();
  lock_.unlock();
}

void Tracer::ReportForever() {
  for (;;) {
    const double elapsed = duration<double>(steady_clock::now() - begin_).count();
    const double pause = std::clamp(elapsed / 4, kReportSecondsLeast, kReportSecondsMost);
    std::this_thread::sleep_for(duration<double>(pause));
    const std::lock_guard held(lock_);
    if (death_reported_ || !following_) return;
    WriteReportLocked(false);
  }
}

Tracer::Counted Tracer::CountedSoFar() const {
  Counted sum;
  for (const Counted& counted : counted_) {
    for (size_t i = 0; i < kPatternCount; ++i) sum.patterns[i] += counted.patterns[i];
    sum.split += counted.split;
  }
  return sum;
}

std::string Tracer::WhyNoAllocations() const {
  if (statically_linked_) return "it is statically linked: nothing can be preloaded into it";
  if (orders_.recorder_path.empty()) {
    return "the library that tells of them is not there, or cannot be preloaded from where it is";
  }
  return "its loader did not load the library that tells of them";
}

Json Tracer::ReportLocked(bool complete) const {
  Json json = {{"version", kFindingsVersion},
               {"complete", complete},
               {"replaced", calls_.replaced()},
               {"seconds", duration<double>(steady_clock::now() - begin_).count()}};
  if (!refusal_.empty()) json["refused"] = refusal_;
  if (orders_.from_mark) json["from_mark_seen"] = from_mark_seen_;
  if (orders_.to_mark) json["to_mark_seen"] = to_mark_seen_;
  json.update(AnalysisJson(analysis_, functions_.names()));
  Counted counted = CountedSoFar();
  counted.split -= counted_before_.split;
  for (size_t i = 0; i < kPatternCount; ++i) counted.patterns[i] -= counted_before_.patterns[i];
  json["accesses"]["split"] = counted.split;
  json["patterns"] = PatternsJson(counted.patterns);
  json["code_bytes"] = code_pages_.size() << kPageShift;
  json["threads_peak"] = threads_peak_;
  json["threads_lost"] = threads_lost_;
  json["allocations"]["followed"] = notes_.allocations_followed();
  if (notes_.allocations_followed()) {
    json["small_allocations"] = notes_.SmallAllocationsJson();
  } else {
    json["allocations"]["why_not"] = WhyNoAllocations();
  }
  json.update(SystemCallsJson(calls_));
  if (complete && !calls_.replaced() && further_) json.update(further_());
  return json;
}

void Tracer::WriteReportLocked(bool complete) {
  analysis_.Settle();
  // What cannot be written now may be in a moment; the last report stays meanwhile.
  static_cast<void>(
      ReplaceFile(orders_.report_path,
                  ReportLocked(complete).dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace coracle::characterize
