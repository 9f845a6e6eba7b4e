// What this process keeps in memory, as the kernel counts it.
#pragma once

#include <cstdint>
#include <string>

namespace coracle::cmd {

/// Resident bytes of this process less host memory: sealed rows, and the mapping of
/// `ciphertext_path` (canonical path; may be empty): what would lie in the TEE. 0 where the kernel
/// does not tell.
uint64_t SecureResidentBytes(const std::string& ciphertext_path);

}  // namespace coracle::cmd
