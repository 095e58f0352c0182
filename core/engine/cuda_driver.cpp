#include "engine/cuda_driver.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace silc {
namespace {

// Of cuda.h, which is stable.
using CudaInit = int (*)(unsigned);
using CudaDriverVersion = int (*)(int*);
constexpr int kNoDevice = 100;        // CUDA_ERROR_NO_DEVICE
constexpr int kNotReady = 802;        // CUDA_ERROR_SYSTEM_NOT_READY
constexpr int kDriverMismatch = 803;  // CUDA_ERROR_SYSTEM_DRIVER_MISMATCH

// "13.0" of 13000
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

CudaSigns look_for_cuda(int libtorch) {
  CudaSigns signs{.libtorch = libtorch, .chosen = std::getenv("CUDA_VISIBLE_DEVICES") != nullptr};
  std::error_code none;
  const std::filesystem::directory_iterator cards("/proc/driver/nvidia/gpus", none);
  signs.card = !none && cards != std::filesystem::directory_iterator();
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return signs;
  signs.driver = true;
  if (const auto version = reinterpret_cast<CudaDriverVersion>(dlsym(library, "cuDriverGetVersion"));
      version != nullptr)
    if (version(&signs.driver_version) != 0) signs.driver_version = 0;
  if (const auto init = reinterpret_cast<CudaInit>(dlsym(library, "cuInit")); init != nullptr) signs.start = init(0);
  return signs;
}

CudaFault explain(const CudaSigns& signs) {
  if (!signs.card && !signs.driver) return {};  // a machine without NVIDIA's GPUs
  if (signs.libtorch == 0)
    return {signs.card ? "there is an NVIDIA GPU, but this LibTorch is built without CUDA" : "",
            signs.card ? "build silc against a LibTorch with CUDA (Torch_DIR or CMAKE_PREFIX_PATH)" : ""};
  if (!signs.driver)
    return {"there is an NVIDIA GPU, but its driver's library (libcuda.so.1) is not found",
            "install NVIDIA's driver; a container needs to be started with its GPUs (--gpus all)"};
  // Drivers serve all versions with the major number of theirs.
  if (signs.driver_version > 0 && signs.driver_version / 1000 < signs.libtorch / 1000)
    return {"NVIDIA's driver is for CUDA " + version_text(signs.driver_version) + ", and LibTorch needs " +
                version_text(signs.libtorch),
            "install a newer driver, or build silc against a LibTorch for CUDA " +
                std::to_string(signs.driver_version / 1000)};
  if (signs.start == kDriverMismatch)
    return {"NVIDIA's driver in the kernel and its libraries are of different versions",
            "start the machine again, or install both from one package"};
  if (signs.start == kNotReady)
    return {"NVIDIA's GPUs are not ready", "start nvidia-fabricmanager, which machines with NVLink switches need"};
  if (signs.chosen) return {"CUDA_VISIBLE_DEVICES leaves no GPU", "unset it, or name GPUs as nvidia-smi -L does"};
  if (signs.start == kNoDevice)
    return {signs.card ? "NVIDIA's driver finds no GPU that this user may use" : "",
            signs.card ? "look at the permissions of /dev/nvidia*, and at nvidia-smi" : ""};
  return {"LibTorch finds no GPU (error " + std::to_string(signs.start) + " of NVIDIA's driver)",
          "see what nvidia-smi says"};
}

}  // namespace silc
