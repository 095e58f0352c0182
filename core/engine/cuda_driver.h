// Why LibTorch finds no GPU, in words. NVIDIA's driver is looked for when it is asked, so that silc needs neither its
// headers nor a GPU. No LibTorch.
#pragma once

#include <string>

namespace silc {

// What a person can do about a machine whose GPUs cannot be used; both empty where there is nothing to say.
struct CudaFault {
  std::string what;
  std::string remedy;
};

// What is known of a machine without a GPU that LibTorch can use.
struct CudaSigns {
  bool card = false;       // the kernel knows an NVIDIA GPU
  int libtorch = 0;        // the CUDA version that LibTorch was built with, 13000 for 13.0; 0: without CUDA
  bool driver = false;     // libcuda.so.1 is there
  int driver_version = 0;  // the CUDA version up to which it serves; 0: it does not tell
  int start = 0;           // what its cuInit gave; 0: success
  bool chosen = false;     // CUDA_VISIBLE_DEVICES is set
};

// `libtorch` as in CudaSigns.
CudaSigns look_for_cuda(int libtorch);

CudaFault explain(const CudaSigns& signs);

}  // namespace silc
