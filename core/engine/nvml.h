// Energy of a GPU, as NVIDIA's management library counts it. The library comes with the driver and is looked for when
// it is asked, so that silc needs neither its headers nor a GPU. No LibTorch.
#pragma once

#include <optional>
#include <string>

namespace silc {

// Joules that the GPU has used since its driver was loaded, by whatever ran on it. `id`: its PCI bus id,
// "0000:17:00.0". Nothing where there is no such library or GPU, the GPU does not count (before Volta), or it is
// divided (MIG) and counts for all its parts together.
std::optional<double> gpu_energy(const std::string& id);

}  // namespace silc
