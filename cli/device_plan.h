// silc plan --device: what rows would take on devices that are not here.
#pragma once

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "schedule/forecast.h"

namespace silc {

struct DeviceRequest {
  std::string name;  // empty: what this machine takes is measured instead
  std::optional<double> mfu;
  std::optional<double> network;     // GB/s
  std::optional<double> disk;        // GB/s
  std::optional<double> picture_kb;  // kB
};

// --device, --mfu, --network, --disk, --picture-kb.
void add_device_flags(CLI::App& command, DeviceRequest& request);

// The device with what the flags say otherwise. Throws silc::Error for a name that there is not, and for flags that
// change a device where none is named.
std::optional<Device> chosen_device(const DeviceRequest& request);

// What one cell of a row would take.
struct DeviceRow {
  std::string name;
  int64_t cells = 0;
  ResolvedCell cell;
  CountedTraining training;
  Forecast forecast;
  std::vector<std::string> remedy;  // settings with which it fits, where it does not; empty: none that silc has
};

// Counts a cell and lays it over the device; where it does not fit, finds out with which settings it does. Throws
// silc::Error.
DeviceRow plan_on_device(const Engine& engine, const ResolvedCell& cell, const Device& device,
                         const DeviceRequest& request);

// The tables of all rows, what is behind their numbers, and the sums; empty without rows.
std::string describe(const std::vector<DeviceRow>& rows, const Device& device, const DeviceRequest& request);

nlohmann::ordered_json json_of(const DeviceRow& row);
nlohmann::ordered_json json_of(const Device& device);

}  // namespace silc
