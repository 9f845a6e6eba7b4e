#include "serve/test_models.h"

#include "base/check.h"

namespace coracle::serve {
namespace {

class Place final : public InputSink, public OutputSource {
 public:
  void Write(uint32_t input, uint64_t first, std::span<const float> values) override {
    CORACLE_CHECK(input == 0 && first == 0 && values.size() == 1);
    value_ = values[0];
    is_written_ = true;
  }
  Status Read(uint32_t output, uint64_t first, std::span<float> values) const override {
    CORACLE_CHECK(output == 0 && first == 0 && values.size() == 1);
    values[0] = value_;
    return {};
  }
  /// True if it had been written since the last time.
  bool Compute() {
    value_ = is_written_ ? 2 * value_ + 1 : 0;
    const bool was_written = is_written_;
    is_written_ = false;
    return was_written;
  }

 private:
  float value_ = 0;
  bool is_written_ = false;
};

class TestRunner final : public Runner {
 public:
  TestRunner(const PlanChoice& choice, std::function<Status(uint32_t)> on_run, TestMemory& memory)
      : bytes_(choice.bytes), on_run_(std::move(on_run)), memory_(memory), places_(choice.batch) {
    memory_.Take(bytes_);
  }
  ~TestRunner() override {
    CORACLE_CHECK(!is_busy_.load());
    memory_.Return(bytes_);
  }
  InputSink& input(uint32_t index) override { return places_.at(index); }
  const OutputSource& output(uint32_t index) const override { return places_.at(index); }
  Status Run() override {
    CORACLE_CHECK(!is_busy_.exchange(true));
    uint32_t written = 0;
    for (Place& place : places_) written += place.Compute() ? 1 : 0;
    const Status status = on_run_(written);
    is_busy_.store(false);
    return status;
  }

 private:
  const uint64_t bytes_;
  const std::function<Status(uint32_t)> on_run_;
  TestMemory& memory_;
  std::vector<Place> places_;
  std::atomic<bool> is_busy_{false};
};

}  // namespace

TestModel::~TestModel() {
  if (is_counted_) memory_.Return(settings_.loaded_bytes);
}

void TestModel::CountLoaded() {
  memory_.Take(settings_.loaded_bytes);
  is_counted_ = true;
}

Result<std::unique_ptr<Runner>> TestModel::Start(uint32_t choice) {
  CORACLE_CHECK(choice < settings_.choices.size());
  TRY(settings_.on_start());
  return std::unique_ptr<Runner>(
      std::make_unique<TestRunner>(settings_.choices[choice], settings_.on_run, memory_));
}

}  // namespace coracle::serve
