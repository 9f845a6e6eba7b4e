#pragma once

#include <vector>

#include "stable_random.h"

namespace coracle::reference {

/// A planar image of `channels` x `height` x `width`, values in [0, 1]: above, detail at several
/// scales, as photographs have; below, white noise. A network that is fitted on one of them alone
/// answers the other with logits many times too large or too small.
std::vector<float> MakeSyntheticImage(int channels, int height, int width, StableRandom& random);

}  // namespace coracle::reference
