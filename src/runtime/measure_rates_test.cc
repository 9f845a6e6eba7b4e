#include "runtime/measure_rates.h"

#include <gtest/gtest.h>

#include <cmath>

#include "host/posix/clock.h"
#include "runtime/decode_sample.h"

namespace coracle::runtime {
namespace {

/// Always the same time.
class StoppedClock final : public host::Clock {
 public:
  uint64_t NowNanoseconds() override { return 17; }
};

/// Runs backwards.
class LyingClock final : public host::Clock {
 public:
  uint64_t NowNanoseconds() override { return now_ -= 1000; }

 private:
  uint64_t now_ = UINT64_MAX;
};

void ExpectUsable(const plan::MachineRates& rates) {
  for (const double rate :
       {rates.fma_gflops, rates.tile_ns, rates.window_ns, rates.call_ns, rates.depthwise_ns,
        rates.vector_ns, rates.pixel_ns, rates.exponential_ns, rates.activation_gbps,
        rates.weight_gbps, rates.aead_gbps, rates.open_ns, rates.decode_gbps, rates.dot8_gops}) {
    EXPECT_TRUE(std::isfinite(rate));
    EXPECT_GT(rate, 0);
  }
}

TEST(MeasureRates, GivesRatesThatThisMachineCanHave) {
  host::PosixClock clock;
  const Result<plan::MachineRates> rates = MeasureRates(clock);
  ASSERT_TRUE(rates.ok());
  ExpectUsable(*rates);
  const MachinePeaks peaks = MeasurePeaks(clock);
  EXPECT_GT(peaks.fma_gflops, 0);
  EXPECT_GT(peaks.read_gbps, 0);
  EXPECT_GT(MeasurePace(clock, *rates), 0);
}

TEST(MeasureRates, TheSampleIsDecoded) {
  DecodeSample sample;
  EXPECT_TRUE(sample.Decode());
}

TEST(MeasureRates, StaysUsableWhateverTheClockSays) {
  StoppedClock stopped;
  const Result<plan::MachineRates> frozen = MeasureRates(stopped);
  ASSERT_TRUE(frozen.ok());
  ExpectUsable(*frozen);
  LyingClock lying;
  const Result<plan::MachineRates> backwards = MeasureRates(lying);
  ASSERT_TRUE(backwards.ok());
  ExpectUsable(*backwards);
}

}  // namespace
}  // namespace coracle::runtime
