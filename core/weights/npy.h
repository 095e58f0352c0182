// The head of a .npy file, of which a .npz is an archive (numpy.lib.format).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace silc {

struct NpyHead {
  std::string dtype;  // as in safetensors; as numpy has it where it is none of those, "<U5"
  std::vector<int64_t> shape;
  bool fortran_order = false;  // the first index runs fastest
  uint64_t size = 0;           // bytes of the head, after which the elements are
};

// `bytes`: the beginning of the file, kNpyHead bytes where it has as many. Throws silc::Error beginning with `name`.
inline constexpr uint64_t kNpyHead = 65536;
NpyHead read_npy_head(std::span<const std::byte> bytes, const std::string& name);

}  // namespace silc
