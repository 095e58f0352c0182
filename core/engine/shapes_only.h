// Computing with shapes alone, on LibTorch's "meta" device, where tensors have no values and take no memory: what a
// step would do on a machine that is not there, for models that this one has no room for. What depends on values cannot
// be computed so, and is refused by LibTorch.
#pragma once

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/nn/module.h>

#include <cstdint>

namespace silc {

// While one lives, this thread computes on the meta device as a GPU would: attention does not keep its scores, bf16 is
// autocast's (engine/precision.h, with the lists for CUDA, of which LibTorch knows nothing there), operators that
// LibTorch has no shapes for are computed on zeros, and memory is counted. On other devices nothing changes.
class ShapesOnly {
 public:
  ShapesOnly();

  // While it lives, large matrices are made without values on whatever device they are asked for, as weights are.
  class Building {
   public:
    Building();
    ~Building();
    Building(const Building&) = delete;
    Building& operator=(const Building&) = delete;
  };

 private:
  c10::impl::IncludeDispatchKeyGuard mode_;
};

// Leaves the shapes of all parameters and buffers, and takes their values. Module::to() cannot do that.
void forget_values(const torch::nn::Module& module);

// Bytes of all tensors on the meta device, in blocks of 512 as a GPU's allocator gives them, since the first
// ShapesOnly: now, and at most since restart_shape_peak().
int64_t shape_memory();
int64_t shape_peak();
void restart_shape_peak();

// The bf16 copies of weights that autocast keeps on the meta device.
void clear_shape_copies();

}  // namespace silc
