#include "cmd/support/batch_run.h"

#include <filesystem>
#include <utility>

#include "base/check.h"

namespace coracle::cmd {
namespace {

constexpr std::chrono::milliseconds kPause(50);
/// What a program that was killed leaves of a file that it had not finished.
constexpr std::string_view kUnfinished = ".tmp";

/// Errors of the folder show when files are written there.
void RemoveUnfinished(const std::string& folder) {
  std::error_code failure;
  std::filesystem::directory_iterator entry(folder, failure);
  for (; !failure && entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
    std::error_code ignored;
    if (entry->path().extension() == kUnfinished) std::filesystem::remove(entry->path(), ignored);
  }
}

}  // namespace

/// One input, from its submission to its line. Shared by the two callbacks of its request, which
/// are called one after the other.
struct BatchRun::Item {
  uint64_t serial = 0;
  std::string file;
  std::string path;
  Feed::Picture picture;
  std::optional<Error> unreadable;
  std::chrono::steady_clock::time_point begun;
  bool finished = false;  // under the mutex
};

BatchRun::BatchRun(serve::Scheduler& scheduler, const seal::Manifest& manifest,
                   const Answering& answering, const vision::Preprocess& preprocess,
                   ResultFile& results, BatchSettings settings)
    : scheduler_(scheduler),
      manifest_(manifest),
      answering_(answering),
      preprocess_(preprocess),
      settings_(std::move(settings)),
      results_(results) {
  CORACLE_CHECK(manifest.graph.inputs.size() == 1 && settings_.waiting_max > 0);
}

BatchRun::~BatchRun() { CORACLE_CHECK(pending_ == 0); }

Result<size_t> BatchRun::Run(const std::vector<std::string>& files,
                             const std::function<bool(size_t answered)>& progress) {
  size_t next = 0;
  std::unique_lock lock(mutex_);
  while (pending_ > 0 || (next < files.size() && !stopping_)) {
    while (!stopping_ && !failure_ && next < files.size() && pending_ < settings_.waiting_max) {
      ++pending_;
      lock.unlock();
      const Status submitted = SubmitNext(files[next++]);
      lock.lock();
      if (submitted.ok()) continue;
      --pending_;
      if (!failure_) failure_ = submitted.error();
    }
    if (pending_ > 0) changed_.wait_for(lock, kPause);
    const size_t answered = answered_;
    lock.unlock();
    const bool go_on = progress(answered);
    lock.lock();
    if ((!go_on || failure_) && !stopping_) {
      stopping_ = true;
      lock.unlock();
      Stop();
      lock.lock();
    }
  }
  if (failure_) return *failure_;
  TRY(results_.Sync());
  return answered_;
}

Status BatchRun::SubmitNext(const std::string& file) {
  auto item = std::make_shared<Item>();
  item->file = file;
  item->path = settings_.input_folder + "/" + file;
  {
    const std::lock_guard lock(mutex_);
    item->serial = next_serial_++;
  }
  serve::Request request;
  request.model = settings_.model;
  request.write_inputs = [this, item](serve::InputSink& sink) { return Feed(*item, sink); };
  request.done = [this, item](const Status& status, const serve::OutputSource* outputs) {
    Finish(item, status, outputs);
  };
  TRY_ASSIGN(const serve::RequestId id, scheduler_.Submit(std::move(request)));
  const std::lock_guard lock(mutex_);
  if (!item->finished) waiting_.emplace(item->serial, id);
  return {};
}

void BatchRun::Stop() {
  std::unordered_map<uint64_t, serve::RequestId> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting = std::exchange(waiting_, {});
  }
  for (const auto& [serial, id] : waiting) (void)scheduler_.Cancel(id);
}

Status BatchRun::Feed(Item& item, serve::InputSink& sink) const {
  item.begun = std::chrono::steady_clock::now();
  const auto write = [&sink](uint64_t first, std::span<const float> values) {
    sink.Write(0, first, values);
  };
  auto fitted = FeedFile(item.path, manifest_.graph.inputs[0], preprocess_, write);
  if (!fitted.ok()) {
    item.unreadable = fitted.error();
    return fitted.error();
  }
  if (*fitted) item.picture = {item.path, *fitted};
  return {};
}

void BatchRun::Finish(const std::shared_ptr<Item>& item, const Status& status,
                      const serve::OutputSource* outputs) {
  std::optional<Result<Json>> line;
  if (status.ok() || item->unreadable) line = Line(*item, outputs);
  const std::lock_guard lock(mutex_);
  item->finished = true;
  waiting_.erase(item->serial);
  Status done;
  if (!line) {
    // Those that Stop() cancels go without an answer.
    if (!stopping_) done = status;
  } else if (!line->ok()) {
    done = line->error();
  } else {
    done = results_.Append(line->value());
    if (done.ok()) ++answered_;
  }
  if (!done.ok() && !failure_) failure_ = done.error();
  --pending_;
  changed_.notify_all();
}

Result<Json> BatchRun::Line(const Item& item, const serve::OutputSource* outputs) const {
  Json line = {{"file", item.file}};
  if (item.unreadable) {
    line["error"] = {{"code", CodeName(item.unreadable->code)},
                     {"message", item.unreadable->message}};
    return line;
  }
  CORACLE_CHECK(outputs != nullptr);
  std::string folder;
  if (!settings_.output_folder.empty()) {
    folder = settings_.output_folder + "/" + item.file;
    RemoveUnfinished(folder);
  }
  TRY_ASSIGN(const Report answer, answering_.DescribeOne(*outputs, item.picture, folder));
  line["outputs"] = answer.json.at("outputs");
  const std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - item.begun;
  line["latency_ms"] = took.count();
  return line;
}

}  // namespace coracle::cmd
