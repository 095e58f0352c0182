#include "engine/environment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/version.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "engine/accelerator.h"
#include "engine/cuda_driver.h"
#include "engine/proc_file.h"

namespace silc {
namespace {

// First line of a command's output; empty if it fails.
std::string first_line_of(const char* command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command, "r"), pclose);
  if (!pipe) return "";
  std::array<char, 256> line{};
  if (std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "";
  std::string text = line.data();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

nlohmann::json describe_gpu(const at::Device& device) {
  const auto memory = device_memory(device);
  return {{"name", gpu_name(device)},
          {"kind", device.str()},
          {"visible", visible_name(device)},
          {"address", device_address(device)},
          {"memory", memory ? memory->total : 0},
          {"free_memory", memory ? memory->free : 0}};
}

// All that cells can be trained on. Parts of GPUs beyond the first are of other processes' seeing, so only their names
// are known.
nlohmann::json describe_devices() {
  auto devices = nlohmann::json::array({{{"name", cpu_name()}, {"kind", "cpu"}}});
  const std::size_t found = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  const auto names = visible_gpus(std::getenv("CUDA_VISIBLE_DEVICES"), found);
  for (std::size_t i = 0; i < names.size(); ++i)
    devices.push_back(i < found ? describe_gpu(at::Device(at::kCUDA, static_cast<int8_t>(i)))
                                : nlohmann::json{{"name", "part of a GPU"}, {"kind", "cuda"}, {"visible", names[i]}});
  return devices;
}

nlohmann::json git_state() {
  const std::string commit = first_line_of("git rev-parse HEAD 2>/dev/null");
  if (commit.empty()) return nullptr;
  return {{"commit", commit}, {"changed", !first_line_of("git status --porcelain 2>/dev/null").empty()}};
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

std::string cpu_name() {
  const std::string name = proc_property("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown processor" : name;
}

bool fast_bf16() {
  const std::string flags = proc_property("/proc/cpuinfo", "flags");
  return flags.find("avx512_bf16") != std::string::npos || flags.find("amx_bf16") != std::string::npos;
}

std::string device_name(const at::Device& device) { return device.is_cuda() ? gpu_name(device) : cpu_name(); }

nlohmann::json describe_environment(const at::Device& device) {
  return {{"engine_version", SILC_VERSION},
          {"torch", TORCH_VERSION},
          {"compiler", __VERSION__},
          {"cpu", cpu_name()},
          {"device", {{"kind", device.str()}, {"name", device_name(device)}}},
          {"threads", at::get_num_threads()},
          {"cores", std::thread::hardware_concurrency()},
          {"host", host_name()},
          {"git", git_state()}};
}

nlohmann::json describe_engine() {
  nlohmann::json about = {{"engine_version", SILC_VERSION},   {"torch", TORCH_VERSION}, {"devices", describe_devices()},
                          {"threads", at::get_num_threads()}, {"cpu", cpu_name()},      {"bf16", fast_bf16()}};
  if (about["devices"].size() == 1) {
    const auto& context = at::globalContext();
    const CudaFault fault = explain(look_for_cuda(context.hasCUDART() ? static_cast<int>(context.versionCUDART()) : 0));
    if (!fault.what.empty()) about["gpu_fault"] = {{"what", fault.what}, {"remedy", fault.remedy}};
  }
  return about;
}

}  // namespace silc
