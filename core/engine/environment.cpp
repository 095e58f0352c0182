#include "engine/environment.h"

#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/version.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

namespace silc {
namespace {

// What follows the colon in the first line of a file of /proc that begins with `key`; empty if there is none.
std::string property(const std::filesystem::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

// As the driver names it: CUDA's own headers are not needed to build silc.
std::string cuda_name(int64_t index) {
  std::error_code none;
  int64_t next = 0;
  for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", none))
    if (next++ == index) return property(gpu.path() / "information", "Model");
  return "CUDA device " + std::to_string(index);
}

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
  const std::string name = property("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown processor" : name;
}

bool fast_bf16() {
  const std::string flags = property("/proc/cpuinfo", "flags");
  return flags.find("avx512_bf16") != std::string::npos || flags.find("amx_bf16") != std::string::npos;
}

std::string device_name(const at::Device& device) {
  return device.is_cuda() ? cuda_name(std::max<int64_t>(device.index(), 0)) : cpu_name();
}

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
  auto devices = nlohmann::json::array({{{"name", cpu_name()}, {"kind", "cpu"}}});
  if (torch::cuda::is_available())
    for (int64_t i = 0; i < static_cast<int64_t>(torch::cuda::device_count()); ++i)
      devices.push_back({{"name", cuda_name(i)}, {"kind", "cuda:" + std::to_string(i)}});
  return {{"engine_version", SILC_VERSION},   {"torch", TORCH_VERSION}, {"devices", devices},
          {"threads", at::get_num_threads()}, {"cpu", cpu_name()},      {"bf16", fast_bf16()}};
}

}  // namespace silc
