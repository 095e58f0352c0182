// How much memory a piece of work takes, to the byte.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace silc::testing {

// Bytes of tensors that this thread made and did not give back yet, and the most that there were at once.
class Allocations : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*pointer*/, int64_t size, size_t /*allocated*/, size_t /*reserved*/,
                         c10::Device /*device*/) override {
    bytes_ += size;
    peak_ = std::max(peak_, bytes_);
  }
  [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }
  [[nodiscard]] int64_t peak() const { return peak_; }

 private:
  int64_t bytes_ = 0;
  int64_t peak_ = 0;
};

// The greatest number of bytes that `work` has in tensors at once, beyond those that were there before.
template <class Work>
int64_t peak_memory(const Work& work) {
  const auto allocations = std::make_shared<Allocations>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, allocations);
  work();
  return allocations->peak();
}

}  // namespace silc::testing
