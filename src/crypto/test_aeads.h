// Every AES-GCM implementation that this machine runs, for tests that must see each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/aead_backends.h"

namespace coracle::crypto {

struct AeadMaker {
  std::string name;
  std::function<std::unique_ptr<Aead>(const Key256&)> make;
};

inline std::vector<AeadMaker> AllAeads() {
  std::vector<AeadMaker> makers;
  makers.push_back({"openssl", [](const Key256& key) { return MakeOpenSslAead(key).value(); }});
  for (const IpsecMbIsa isa : kIpsecMbIsas) {
    if (!IpsecMbRuns(isa)) continue;
    makers.push_back({std::string(IpsecMbIsaName(isa)),
                      [isa](const Key256& key) { return MakeIpsecMbAead(isa, key).value(); }});
  }
  return makers;
}

}  // namespace coracle::crypto
