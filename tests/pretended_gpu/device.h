// A device that is not the CPU, for machines without one: it computes on the CPU, in memory of its own, and notices
// what would make the host wait for a GPU, or fail there.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace silc::testing {

// Ready for use from the first call on.
at::Device pretended_gpu();

// What was asked of the pretended GPU, since this was made, that makes the host of a real one wait: reading a value
// (item), shapes that depend on values (nonzero, boolean indices, masked_select, unique), copies from it and to it.
// Copies to it that are asynchronous are told from others, but noticed too. And what a real one refuses: operators on
// tensors of both devices, but for scalars of the CPU, and operators that have no deterministic kernel. One at a time.
class Waits {
 public:
  Waits();
  ~Waits();
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // In the order in which they came, "aten::nonzero".
  [[nodiscard]] std::vector<std::string> found() const;
};

}  // namespace silc::testing
