#include "host/fake/entropy.h"

namespace coracle::host {

Status InsecureDeterministicEntropy::Fill(std::span<std::byte> out) {
  for (std::byte& byte : out) byte = static_cast<std::byte>(random_.Next() >> 56);
  return {};
}

Status FailingEntropy::Fill(std::span<std::byte> out) {
  if (calls_left_ == 0) return Error{Code::kUnavailable, "the fake host gives no random bytes"};
  --calls_left_;
  return entropy_.Fill(out);
}

}  // namespace coracle::host
