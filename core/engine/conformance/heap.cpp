#include "engine/conformance/heap.h"

#include <malloc.h>

#include <cstddef>

// The engine is linked with jemalloc; programs that are not (tests) have the C library's allocator.
extern "C" int mallctl(const char* name, void* old_value, std::size_t* old_length, void* new_value,
                       std::size_t new_length) __attribute__((weak));

namespace silc::conformance {
namespace {

int64_t counter(const char* name) {
  uint64_t value = 0;
  std::size_t length = sizeof(value);
  return mallctl(name, &value, &length, nullptr, 0) == 0 ? static_cast<int64_t>(value) : 0;
}

}  // namespace

int64_t heap_in_use() {
  if (mallctl != nullptr) return counter("thread.allocated") - counter("thread.deallocated");
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

std::string describe_growth(std::span<const int64_t> in_use) {
  constexpr int64_t kNoise = 64;  // bytes a step
  if (in_use.size() < 2) return "";
  std::size_t growing = 0;
  for (std::size_t i = 1; i < in_use.size(); ++i)
    if (in_use[i] > in_use[i - 1]) ++growing;
  const auto steps = static_cast<int64_t>(in_use.size()) - 1;
  const int64_t each = (in_use.back() - in_use.front()) / steps;
  if (each < kNoise || static_cast<int64_t>(growing) * 10 <= steps * 8) return "";
  return "memory in use grows by " + std::to_string(each) + " bytes a step, step after step";
}

}  // namespace silc::conformance
