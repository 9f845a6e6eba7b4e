// BatchRun: many files through a scheduler, each answered once in a ResultFile.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cmd/support/answering.h"
#include "cmd/support/feeding.h"
#include "cmd/support/result_file.h"
#include "seal/model.h"
#include "serve/scheduler.h"
#include "vision/preprocess.h"

namespace coracle::cmd {

struct BatchSettings {
  std::string model;  ///< as the scheduler knows it
  std::string input_folder;
  std::string output_folder;  ///< for tensors: one folder an input; empty: none are written
  uint32_t waiting_max = 64;  ///< most requests that are with the scheduler at once
};

/// An input that cannot be read is answered with its error. Anything else that fails (the model is
/// not authentic, the disk is full) ends the batch.
class BatchRun {
 public:
  /// All must outlive this, and the scheduler must have loaded the model. Requires: the model has
  /// one input.
  BatchRun(serve::Scheduler& scheduler, const seal::Manifest& manifest, const Answering& answering,
           const vision::Preprocess& preprocess, ResultFile& results, BatchSettings settings);
  ~BatchRun();
  BatchRun(const BatchRun&) = delete;
  BatchRun& operator=(const BatchRun&) = delete;

  /// Answers `files` (names within the input folder; none has a line yet) and returns how many
  /// were. `progress` is called on this thread, several times a second, with the answers so far:
  /// false stops the batch. Then, and when something fails, what runs is still answered, and what
  /// waits is not. Errors: the first failure.
  Result<size_t> Run(const std::vector<std::string>& files,
                     const std::function<bool(size_t answered)>& progress);

 private:
  struct Item;
  Status SubmitNext(const std::string& file);
  void Stop();
  /// On a thread of the scheduler.
  Status Feed(Item& item, serve::InputSink& sink) const;
  void Finish(const std::shared_ptr<Item>& item, const Status& status,
              const serve::OutputSource* outputs);
  Result<Json> Line(const Item& item, const serve::OutputSource* outputs) const;

  serve::Scheduler& scheduler_;
  const seal::Manifest& manifest_;
  const Answering& answering_;
  const vision::Preprocess& preprocess_;
  const BatchSettings settings_;

  std::mutex mutex_;  // of all below, and of results_
  std::condition_variable changed_;
  ResultFile& results_;
  std::optional<Error> failure_;
  size_t pending_ = 0;                                      // submitted and not finished
  size_t answered_ = 0;                                     // lines written
  std::unordered_map<uint64_t, serve::RequestId> waiting_;  // by serial number
  uint64_t next_serial_ = 0;
  bool stopping_ = false;
};

}  // namespace coracle::cmd
