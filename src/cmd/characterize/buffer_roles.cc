#include "cmd/characterize/buffer_roles.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>

#include "base/trace_note.h"
#include "characterize/analysis/findings.h"

namespace coracle::cmd {
namespace {

using characterize::Whole;

/// Smaller sizes are shared by too many things to tell anything where their order is not known.
constexpr uint64_t kTellingBytesLeast = 16384;
/// What allocators of other engines add to what was asked for.
constexpr uint64_t kPaddingBytesMost = 256;
/// Up to this share of what was written, reads may be of neighbours on the same pages.
constexpr uint64_t kNeighboursDivisor = 8;
/// How far an arena of all weights may be from their sum.
constexpr uint64_t kArenaDivisor = 50;

/// True for "convolutional_3" and the like, which the importer of Darknet's networks gives.
bool IsDarknetName(const std::string& name, std::string_view type) {
  return name.starts_with(type) && name.size() > type.size() + 1 && name[type.size()] == '_' &&
         std::all_of(name.begin() + static_cast<ptrdiff_t>(type.size()) + 1, name.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool IsDarknetNetwork(const ModelProfile& profile) {
  return std::any_of(profile.layers.begin(), profile.layers.end(), [](const LayerProfile& layer) {
    return IsDarknetName(layer.name, "convolutional") || IsDarknetName(layer.name, "connected");
  });
}

void ExpectConvolution(const LayerProfile& layer, std::vector<ExpectedBuffer>& all) {
  all.push_back({layer.weights_bytes, BufferUse::kRead, "weights", layer.title});
  all.push_back({layer.weights_bytes, BufferUse::kUntouched, "weight gradients", layer.title});
  all.push_back({layer.bias_bytes, BufferUse::kRead, "biases", layer.title});
  all.push_back({layer.bias_bytes, BufferUse::kUntouched, "bias gradients", layer.title});
  all.push_back({layer.output_bytes, BufferUse::kBoth, "output", layer.title});
  all.push_back({layer.output_bytes, BufferUse::kWritten, "output gradient", layer.title});
  // With batch normalization: scales and their gradients, means, variances, ...
  for (int i = 0; i < 8; ++i) {
    all.push_back({layer.bias_bytes, BufferUse::kRead, "normalization vectors", layer.title});
  }
  all.push_back({layer.output_bytes, BufferUse::kWritten, "normalization copy", layer.title});
  all.push_back({layer.output_bytes, BufferUse::kUntouched, "normalized copy", layer.title});
}

void ExpectConnected(const LayerProfile& layer, std::vector<ExpectedBuffer>& all) {
  all.push_back({layer.output_bytes, BufferUse::kBoth, "output", layer.title});
  all.push_back({layer.output_bytes, BufferUse::kWritten, "output gradient", layer.title});
  all.push_back({layer.weights_bytes, BufferUse::kUntouched, "weight gradients", layer.title});
  all.push_back({layer.bias_bytes, BufferUse::kUntouched, "bias gradients", layer.title});
  all.push_back({layer.weights_bytes, BufferUse::kRead, "weights", layer.title});
  all.push_back({layer.bias_bytes, BufferUse::kRead, "biases", layer.title});
}

void ExpectOther(const LayerProfile& layer, std::vector<ExpectedBuffer>& all) {
  // Which of the two comes first differs; their use tells them apart.
  const ExpectedBuffer output = {layer.output_bytes, BufferUse::kBoth, "output", layer.title};
  const ExpectedBuffer gradient = {layer.output_bytes, BufferUse::kWritten, "output gradient",
                                   layer.title};
  if (IsDarknetName(layer.name, "maxpool")) {
    all.push_back({layer.output_bytes, BufferUse::kWritten, "pooling indices", layer.title});
  }
  const bool gradient_first = IsDarknetName(layer.name, "route") ||
                              IsDarknetName(layer.name, "shortcut") ||
                              IsDarknetName(layer.name, "upsample");
  all.push_back(gradient_first ? gradient : output);
  all.push_back(gradient_first ? output : gradient);
}

BufferUse UseOf(const Json& object) {
  const uint64_t read = Whole(object, "read_bytes");
  const uint64_t written = Whole(object, "written_bytes");
  if (Whole(object, "touched_bytes") < Whole(object, "bytes") / 2) return BufferUse::kUntouched;
  if (read <= written / kNeighboursDivisor) return BufferUse::kWritten;
  return written == 0 ? BufferUse::kRead : BufferUse::kBoth;
}

/// How much `object` is like this one; 0: not at all. Sizes and order decide; use tells apart what
/// is as large. It is no proof: small buffers share pages with others, which count for one of them,
/// and weights are also written where their loading was traced.
int Likeness(const Json& object, const ExpectedBuffer& expected) {
  if (Whole(object, "bytes") != expected.bytes) return 0;
  const BufferUse use = UseOf(object);
  if (use == expected.use) return 6;
  const bool read_here = use == BufferUse::kRead || use == BufferUse::kBoth;
  const bool read_there = expected.use == BufferUse::kRead || expected.use == BufferUse::kBoth;
  return read_here == read_there ? 5 : 4;
}

void SetRole(Json& object, const std::string& role, const std::string& layer) {
  object["role"] = role;
  if (!layer.empty()) object["layer"] = layer;
}

/// Both in the order of allocation: the pairs that keep that order and are most alike in all (the
/// longest common subsequence, weighted). Objects[order[i]] are those that were allocated.
void Align(const std::vector<ExpectedBuffer>& expected, const std::vector<size_t>& order,
           Json& objects) {
  const size_t rows = order.size() + 1;
  const size_t columns = expected.size() + 1;
  // best[i][j]: of the objects from i and the expected buffers from j.
  std::vector<int> best(rows * columns, 0);
  const auto at = [&best, columns](size_t i, size_t j) -> int& { return best[i * columns + j]; };
  for (size_t i = order.size(); i-- > 0;) {
    for (size_t j = expected.size(); j-- > 0;) {
      const int likeness = Likeness(objects[order[i]], expected[j]);
      const int paired = likeness == 0 ? 0 : likeness + at(i + 1, j + 1);
      at(i, j) = std::max({paired, at(i + 1, j), at(i, j + 1)});
    }
  }
  for (size_t i = 0, j = 0; i < order.size() && j < expected.size();) {
    const int likeness = Likeness(objects[order[i]], expected[j]);
    if (likeness != 0 && at(i, j) == likeness + at(i + 1, j + 1)) {
      SetRole(objects[order[i++]], expected[j].role, expected[j].layer);
      ++j;
    } else if (at(i, j) == at(i, j + 1)) {
      ++j;
    } else {
      ++i;
    }
  }
}

std::vector<ExpectedBuffer> TensorBuffers(const ModelProfile& profile) {
  std::vector<ExpectedBuffer> all;
  for (const LayerProfile& layer : profile.layers) {
    all.push_back({layer.weights_bytes, BufferUse::kRead, "weights", layer.title});
    all.push_back({layer.output_bytes, BufferUse::kBoth, "output", layer.title});
    if (layer.im2col_bytes != 0) {
      all.push_back({layer.im2col_bytes, BufferUse::kBoth, "im2col workspace",
                     layer.title + ", " + layer.shape});
    }
  }
  std::erase_if(all, [](const ExpectedBuffer& one) { return one.bytes < kTellingBytesLeast; });
  return all;
}

/// Objects that nothing else of the model is as large as; of several alike, the layer stays open.
void MatchBySize(const ModelProfile& profile, uint64_t file_bytes, Json& objects) {
  const std::vector<ExpectedBuffer> expected = TensorBuffers(profile);
  const uint64_t weights = profile.WeightsBytes();
  for (Json& object : objects) {
    const uint64_t bytes = Whole(object, "bytes");
    if (object.contains("role") || bytes < kTellingBytesLeast) continue;
    std::vector<const ExpectedBuffer*> alike;
    for (const ExpectedBuffer& one : expected) {
      if (bytes >= one.bytes && bytes - one.bytes <= kPaddingBytesMost) alike.push_back(&one);
    }
    const bool same_role = std::all_of(alike.begin(), alike.end(), [&](const ExpectedBuffer* one) {
      return one->role == alike.front()->role;
    });
    if (!alike.empty()) {
      if (same_role) SetRole(object, alike[0]->role, alike.size() == 1 ? alike[0]->layer : "");
    } else if (bytes == file_bytes) {
      SetRole(object, "model file", "");
    } else if (weights >= kTellingBytesLeast &&
               std::max(bytes, weights) - std::min(bytes, weights) <= weights / kArenaDivisor) {
      SetRole(object, "weights", "all layers");
    }
  }
}

/// What the importer added to one of Darknet's layers ("crop_0/adjust") that is there itself.
bool IsAddition(const ModelProfile& profile, const LayerProfile& layer) {
  const size_t slash = layer.name.find('/');
  if (slash == std::string::npos) return false;
  const std::string own = layer.name.substr(0, slash);
  return std::any_of(profile.layers.begin(), profile.layers.end(),
                     [&own](const LayerProfile& other) { return other.name == own; });
}

}  // namespace

std::vector<ExpectedBuffer> DarknetBuffers(const ModelProfile& profile) {
  std::vector<ExpectedBuffer> all;
  for (const LayerProfile& layer : profile.layers) {
    if (IsAddition(profile, layer)) continue;
    if (layer.kind == LayerKind::kConvolution) {
      ExpectConvolution(layer, all);
    } else if (layer.kind == LayerKind::kConnected) {
      ExpectConnected(layer, all);
    } else {
      ExpectOther(layer, all);
    }
  }
  all.push_back({profile.input_bytes, BufferUse::kBoth, "network input", ""});
  if (const LayerProfile* largest = profile.LargestIm2col(); largest != nullptr) {
    all.push_back({largest->im2col_bytes, BufferUse::kBoth, "im2col workspace",
                   largest->title + ", " + largest->shape});
  }
  std::erase_if(all,
                [](const ExpectedBuffer& one) { return one.bytes < kTraceAllocationBytesLeast; });
  return all;
}

RolesFound AssignRoles(const ModelProfile& profile, uint64_t file_bytes, Json& objects) {
  if (IsDarknetNetwork(profile)) {
    std::vector<size_t> order(objects.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    // Those made within one access of another come in the order of their numbers.
    std::sort(order.begin(), order.end(), [&objects](size_t a, size_t b) {
      const auto key = [&objects](size_t i) {
        return std::pair(Whole(objects[i], "allocated_at"), Whole(objects[i], "index"));
      };
      return key(a) < key(b);
    });
    Align(DarknetBuffers(profile), order, objects);
  } else {
    MatchBySize(profile, file_bytes, objects);
  }
  RolesFound found;
  for (const Json& object : objects) {
    const uint64_t bytes = Whole(object, "bytes");
    found.bytes_of_all += bytes;
    if (!object.contains("role")) continue;
    ++found.objects;
    found.bytes += bytes;
  }
  return found;
}

}  // namespace coracle::cmd
