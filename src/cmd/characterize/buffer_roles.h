// Which of a traced program's buffers is what of the model that it runs: by their sizes, the order
// in which they were allocated, and how they were used.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cmd/characterize/model_profile.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

enum class BufferUse : uint8_t {
  kRead,      ///< by a prediction
  kBoth,      ///< written and read
  kWritten,   ///< never read
  kUntouched  ///< or hardly
};

/// A buffer that an engine is expected to allocate.
struct ExpectedBuffer {
  uint64_t bytes = 0;
  BufferUse use = BufferUse::kBoth;
  std::string role;   ///< "weights", "output", "im2col workspace", ...
  std::string layer;  ///< its title
};

/// What Darknet allocates for a network, in its order (make_convolutional_layer(),
/// make_connected_layer(), ... and parse_network_cfg() of pjreddie/darknet): also the gradients
/// that only training needs.
std::vector<ExpectedBuffer> DarknetBuffers(const ModelProfile& profile);

struct RolesFound {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  uint64_t bytes_of_all = 0;  ///< of all objects
};

/// Sets "role" and "layer" of those objects (findings) that are recognised: of a network of
/// Darknet's by aligning what was allocated with what Darknet allocates; of others, whose engines
/// allocate in orders of their own, by sizes that only one kind of buffer has. `file_bytes`: of the
/// model's file, 0 if not known.
RolesFound AssignRoles(const ModelProfile& profile, uint64_t file_bytes, Json& objects);

}  // namespace coracle::cmd
