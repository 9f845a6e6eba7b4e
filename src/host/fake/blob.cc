#include "host/fake/blob.h"

#include <algorithm>

#include "host/fake/random.h"

namespace coracle::host {
namespace {

std::string_view FaultName(BlobFault fault) {
  switch (fault) {
    case BlobFault::kNone:
      return "none";
    case BlobFault::kFail:
      return "fail";
    case BlobFault::kShorten:
      return "shorten";
    case BlobFault::kCorrupt:
      return "corrupt";
    case BlobFault::kReplay:
      return "replay";
  }
  CORACLE_CHECK(false);
  return {};
}

}  // namespace

std::string BlobFaultPlan::ToString() const {
  return std::string(FaultName(fault)) + " at call " + std::to_string(call) + ", seed " +
         std::to_string(seed);
}

FakeBlob::FakeBlob(std::vector<std::byte> bytes, BlobAccess access, BlobFaultPlan plan)
    : bytes_(std::move(bytes)), access_(access), plan_(plan) {}

Bytes FakeBlob::View(uint64_t offset, uint64_t bytes) const {
  CORACLE_CHECK(access_ == BlobAccess::kView);
  CORACLE_CHECK(offset <= bytes_.size() && bytes <= bytes_.size() - offset);
  const bool misbehaves = calls_++ == plan_.call && plan_.fault != BlobFault::kNone;
  if (!misbehaves) return Bytes(bytes_).subspan(offset, bytes);
  auto copy = std::make_unique<std::vector<std::byte>>(bytes);
  (void)Misbehave(offset, *copy);
  const Bytes view = *copy;
  const std::lock_guard lock(mutex_);
  falsified_.push_back(std::move(copy));
  return view;
}

ReadOutcome FakeBlob::Read(uint64_t offset, std::span<std::byte> out) const {
  const bool misbehaves = calls_++ == plan_.call && plan_.fault != BlobFault::kNone;
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return ReadOutcome::kFailed;
  if (misbehaves) return Misbehave(offset, out);
  std::ranges::copy(Bytes(bytes_).subspan(offset, out.size()), out.begin());
  return ReadOutcome::kDelivered;
}

ReadOutcome FakeBlob::Misbehave(uint64_t offset, std::span<std::byte> out) const {
  if (plan_.fault == BlobFault::kFail || out.empty()) return ReadOutcome::kFailed;
  SplitMix64 random(plan_.seed);
  uint64_t from = offset;
  size_t delivered = out.size();
  if (plan_.fault == BlobFault::kShorten) delivered = random.Below(out.size());
  if (plan_.fault == BlobFault::kReplay) from = random.Below(bytes_.size() - out.size() + 1);
  std::ranges::fill(out, std::byte{0});
  std::ranges::copy(Bytes(bytes_).subspan(from, delivered), out.begin());
  if (plan_.fault == BlobFault::kCorrupt) {
    out[random.Below(out.size())] ^= static_cast<std::byte>(1U << random.Below(8));
  }
  return ReadOutcome::kDelivered;
}

}  // namespace coracle::host
