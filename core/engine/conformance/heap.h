// Memory in use, to the byte, for the search for leaks. No LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace silc::conformance {

// Bytes that are allocated and not freed: of this thread with jemalloc, of the process with the C library's allocator.
int64_t heap_in_use();

// `in_use`: heap_in_use() after each of a row of equal steps. Empty if memory is steady, else how it grows. A leak
// shows in every step; what allocators keep for later comes and goes, hence more than eight of ten.
std::string describe_growth(std::span<const int64_t> in_use);

}  // namespace silc::conformance
