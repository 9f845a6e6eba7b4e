#include "serve/sealed_model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "api/posix_outside.h"
#include "host/fake/blob.h"
#include "plan/test_networks.h"
#include "runtime/sealed_graph_for_test.h"

namespace coracle::serve {
namespace {

constexpr uint32_t kSize = 21;
constexpr uint64_t kInputElements = 3 * kSize * kSize;
constexpr uint64_t kOutputElements = 100;

std::vector<float> InputOf(uint32_t number) {
  std::vector<float> values = runtime::TestInput(kInputElements + number);
  values.erase(values.begin(), values.begin() + number);
  return values;
}

FrontSettings Settings(uint32_t threads, uint32_t batch) {
  FrontSettings settings;
  settings.budget_bytes = plan::kUnlimited;
  settings.threads_max = threads;
  settings.batch_max = batch;
  return settings;
}

class SealedModelTest : public testing::Test {
 protected:
  SealedModelTest()
      : sealed_(runtime::SealInMemory(runtime::MakeTestGraph(kSize, 7), host::BlobAccess::kView)) {
    auto plan = plan::MakePlan(sealed_.model->manifest().graph, {});
    auto session = outside_.Start(*sealed_.model, std::move(plan).value());
    single_ = std::move(session).value();
  }

  std::unique_ptr<ServedModel> Serve(uint32_t threads, uint32_t batch) {
    auto served = ServeSealedModel("test", *sealed_.model, Settings(threads, batch));
    EXPECT_TRUE(served.ok());
    return std::move(served).value();
  }

  /// What a single prediction, layer by layer in unlimited memory, makes of an input.
  std::vector<float> Truth(const std::vector<float>& input) {
    single_->WriteInput(0, 0, input);
    EXPECT_TRUE(single_->Run().ok());
    std::vector<float> output(kOutputElements);
    EXPECT_TRUE(single_->ReadOutput(0, 0, output).ok());
    return output;
  }

  static std::vector<float> Read(const Runner& runner, uint32_t index) {
    std::vector<float> output(kOutputElements);
    EXPECT_TRUE(runner.output(index).Read(0, 0, output).ok());
    return output;
  }

  runtime::SealedGraph sealed_;
  PosixOutside outside_;
  std::unique_ptr<runtime::Session> single_;
};

TEST_F(SealedModelTest, SameBytesInEveryConvoy) {
  const auto served = Serve(2, 8);
  EXPECT_EQ(served->name(), "test");
  EXPECT_GT(served->loaded_bytes(), 1000U);
  bool outside = false;
  for (uint32_t choice = 0; choice < served->choices().size(); ++choice) {
    SCOPED_TRACE(choice);
    auto runner = served->Start(choice);
    ASSERT_TRUE(runner.ok()) << runner.error().message;
    outside = outside || (*runner)->output(0).prefers_rows(0);
    const uint32_t batch = served->choices()[choice].batch;
    for (uint32_t round = 0; round < 2; ++round) {
      for (uint32_t index = 0; index < batch; ++index) {
        (*runner)->input(index).Write(0, 0, InputOf(100 * round + index));
      }
      ASSERT_TRUE((*runner)->Run().ok());
      for (uint32_t index = 0; index < batch; ++index) {
        EXPECT_EQ(Read(**runner, index), Truth(InputOf(100 * round + index)));
      }
    }
  }
}

TEST_F(SealedModelTest, PlacesThatNobodyTakesAreZeros) {
  const auto served = Serve(1, 4);
  const std::vector<float> zeros(kInputElements);
  for (uint32_t choice = 0; choice < served->choices().size(); ++choice) {
    SCOPED_TRACE(choice);
    const uint32_t batch = served->choices()[choice].batch;
    if (batch == 1) continue;
    auto runner = served->Start(choice);
    ASSERT_TRUE(runner.ok());
    for (uint32_t round = 0; round < 2; ++round) {
      // The last place is taken the first time; later nobody must find that input there again. The
      // second gives up half way.
      (*runner)->input(0).Write(0, 0, InputOf(round));
      const std::vector<float> half = InputOf(50);
      (*runner)->input(1).Write(0, 0, std::span(half).first(kInputElements / 2));
      if (round == 0 && batch > 2) (*runner)->input(batch - 1).Write(0, 0, InputOf(9));
      ASSERT_TRUE((*runner)->Run().ok());
      EXPECT_EQ(Read(**runner, 0), Truth(InputOf(round)));
      EXPECT_EQ(Read(**runner, 1), Truth(zeros));
      if (batch > 2) {
        EXPECT_EQ(Read(**runner, batch - 1), Truth(round == 0 ? InputOf(9) : zeros));
      }
    }
  }
}

TEST_F(SealedModelTest, RunnersAtTheSameTime) {
  const auto served = Serve(1, 2);
  const auto choices = static_cast<uint32_t>(served->choices().size());
  std::vector<std::vector<float>> truths;
  for (uint32_t number = 0; number < 4; ++number) truths.push_back(Truth(InputOf(number)));
  std::atomic<uint32_t> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      for (uint32_t round = 0; round < 3; ++round) {
        auto runner = served->Start((number + round) % choices);
        if (!runner.ok()) {
          ++wrong;
          continue;
        }
        (*runner)->input(0).Write(0, 0, InputOf(number));
        std::vector<float> output(kOutputElements);
        const bool done = (*runner)->Run().ok() && (*runner)->output(0).Read(0, 0, output).ok();
        if (!done || output != truths[number]) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0U);
}

TEST_F(SealedModelTest, TamperedChunksGiveNoOutput) {
  std::vector<std::byte> file = sealed_.file;
  file[sealed_.model->manifest().chunks[2].offset + 5] ^= std::byte{1};
  const host::FakeBlob blob(file, host::BlobAccess::kView);
  const auto model = seal::SealedModel::Open(blob, {}, crypto::PreferredAeadBackend());
  ASSERT_TRUE(model.ok());
  auto served = ServeSealedModel("tampered", **model, Settings(1, 2));
  ASSERT_TRUE(served.ok());
  for (uint32_t choice = 0; choice < (*served)->choices().size(); ++choice) {
    auto runner = (*served)->Start(choice);
    ASSERT_TRUE(runner.ok());
    (*runner)->input(0).Write(0, 0, InputOf(1));
    const Status done = (*runner)->Run();
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, Code::kTampered);
  }
}

}  // namespace
}  // namespace coracle::serve
