// What a cell ran on.
#pragma once

#include <c10/core/Device.h>

#include <nlohmann/json.hpp>
#include <string>

namespace silc {

// "Intel(R) Xeon(R) …", from /proc/cpuinfo.
std::string cpu_name();

// The name of a CUDA device; the CPU's for the CPU.
std::string device_name(const at::Device& device);

// Whether bf16 matrix products are fast here: with instructions of their own.
bool fast_bf16();

// environment.json: versions, processor and device, threads, host, state of the git checkout around the working
// directory.
nlohmann::json describe_environment(const at::Device& device);

// What `silc-engine about` prints.
nlohmann::json describe_engine();

}  // namespace silc
