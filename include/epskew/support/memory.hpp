#pragma once

#include <string>

namespace epskew {

/// Physical memory of this machine in bytes.
double physical_memory_bytes();

/// Throws UsageError, "<what> needs … bytes (this machine has …); <remedy>", where `bytes` is more than the
/// machine's memory. Called before anything of that size is allocated.
void require_memory(double bytes, const std::string& what, const std::string& remedy);

}  // namespace epskew
