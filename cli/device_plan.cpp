#include "cli/device_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"
#include "silc/error.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr std::size_t kWidth = 96;
constexpr double kGiga = 1e9;
constexpr double kHour = 3600;

bool is_cpu(const Device& device) { return device.name == "cpu"; }

ForecastSettings settings_of(const ResolvedCell& cell, const Device& device, const DeviceRequest& request) {
  constexpr double kProcess = 0.3e9;  // LibTorch, libraries and batches that are being made
  ForecastSettings settings;
  if (is_cpu(device)) settings.reserved_memory = kProcess;
  settings.pictures = static_cast<double>(cell.optimizer.batch * cell.optimizer.accumulate);
  settings.checkpoint_interval = cell.engine.checkpoint_seconds;
  if (request.disk) settings.disk = *request.disk * kGiga;
  if (request.picture_kb) settings.picture_bytes = *request.picture_kb * 1e3;
  return settings;
}

void check_precision(const Device& device, const std::string& precision) {
  if (peak_flops(device, precision) > 0 && usual_mfu(device, precision) > 0) return;
  throw Error(
      fmt::format("the device \"{}\" has no figures for engine.precision = \"{}\"; plan with --set "
                  "'engine.precision=\"{}\"'",
                  device.name, precision, precision == "bf16" ? "fp32" : "bf16"));
}

// A setting KEY=VALUE of savings(), in a cell.
void apply(ResolvedCell& cell, const std::string& setting) {
  const std::string value = setting.substr(setting.find('=') + 1);
  if (setting.starts_with("engine.chunk"))
    cell.engine.chunk = std::stoll(value);
  else
    cell.engine.recompute = "blocks";
}

std::string hours(double seconds) {
  constexpr double kFew = 10;
  if (seconds / kHour < kFew) return fmt::format("{:.2g}", seconds / kHour);
  std::string text = format_quantity(seconds / kHour);
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string percent(double part) { return fmt::format("{:.1f} %", 100 * part); }

std::string milliseconds(double seconds) {
  return seconds < 10 ? fmt::format("{:.{}f} ms", 1e3 * seconds, seconds < 0.1 ? 1 : 0) : format_duration(seconds);
}

std::string what_it_takes(const std::vector<DeviceRow>& rows) {
  TextTable table({"ROW", "CELLS", "RANKS", "PARAMETERS", "STEPS", "FLOP", "TIME", "DEVICE-HOURS", "IMAGES/S", "READ",
                   "CHECKPOINT"},
                  {false, true, true, true, true, true, true, true, true, true, true});
  for (const DeviceRow& row : rows) {
    const Forecast& forecast = row.forecast;
    table.add({row.name, std::to_string(row.cells), std::to_string(row.training.ranks),
               format_quantity(static_cast<double>(row.training.parameters)), std::to_string(row.training.steps),
               format_quantity(row.training.flops), format_duration(forecast.seconds), hours(forecast.device_seconds),
               format_quantity(forecast.pictures_per_second), format_bytes(forecast.read_per_second) + "/s",
               format_bytes(row.training.checkpoint_bytes) + " in " + format_duration(forecast.checkpoint_seconds)});
  }
  return table.format();
}

std::string an_update(const std::vector<DeviceRow>& rows) {
  TextTable table({"AN UPDATE OF", "TIME", "COMPUTES", "OPTIMIZER", "WAITS", "SENT BESIDE", "SENT FOR LOSSES", "MFU"},
                  {false, true, true, true, true, true, true, true});
  for (const DeviceRow& row : rows) {
    const Forecast& forecast = row.forecast;
    table.add({row.name, milliseconds(forecast.update_seconds), milliseconds(forecast.computing),
               milliseconds(forecast.optimizer), milliseconds(forecast.waiting), format_bytes(forecast.sent_gradients),
               format_bytes(forecast.sent_otherwise), percent(forecast.mfu)});
  }
  return table.format();
}

std::string memory_of(const std::vector<DeviceRow>& rows, const Device& device) {
  TextTable table({"MEMORY OF A RANK", "WEIGHTS", "TEACHER", "GRADIENTS", "OPTIMIZER", "BUCKETS", "ACTIVATIONS",
                   "NEEDED", "OF " + format_bytes(device.memory)},
                  {false, true, true, true, true, true, true, true, false});
  for (const DeviceRow& row : rows) {
    const CountedMemory& memory = row.training.memory;
    table.add({row.name, format_bytes(memory.weights), format_bytes(memory.kept), format_bytes(memory.gradients),
               format_bytes(memory.optimizer), format_bytes(memory.buckets), format_bytes(memory.activations),
               format_bytes(row.forecast.needed_memory), row.forecast.fits ? "fits" : "does not fit"});
  }
  return table.format();
}

std::string that_do_not_fit(const std::vector<DeviceRow>& rows, const Device& device) {
  std::string text;
  for (const DeviceRow& row : rows) {
    if (row.forecast.fits) continue;
    std::string remedy;
    for (const std::string& setting : row.remedy)
      remedy += (remedy.empty() ? "" : " and ") + std::string("--set '") + setting + "'";
    const double state = row.training.memory.state();
    text += paragraph(
        fmt::format("\"{}\" does not fit into {}: {}.", row.name, format_bytes(device.memory),
                    !remedy.empty() ? "it does with " + remedy + ", which costs FLOPs"
                    : state > device.memory
                        ? fmt::format("weights, gradients, optimizer and teacher alone take {} on every rank, as silc "
                                      "does not share them out; take a device with more memory or a smaller model",
                                      format_bytes(state))
                        : std::string("take more --ranks, so that each has fewer pictures, a smaller optimizer.batch, "
                                      "or a device with more memory")),
        kWidth, 0);
  }
  return text;
}

std::string basis(const std::vector<DeviceRow>& rows, const Device& device, const DeviceRequest& request) {
  const DeviceRow& first = rows.front();
  const std::string& precision = first.training.precision;
  const std::string whose = request.mfu          ? "as --mfu says"
                            : device.mfu_assumed ? "assumed: " + device.mfu_source
                                                 : "source: " + device.mfu_source;
  std::string text = fmt::format("{}, one for each rank: {}FLOP/s in {} at an MFU of {:.2g} ({}); {}/s of memory",
                                 device.title, format_quantity(peak_flops(device, precision)), precision,
                                 usual_mfu(device, precision), whose, format_bytes(device.memory_bandwidth));
  const auto ranks = [](const DeviceRow& row) { return row.training.ranks; };
  if (std::ranges::any_of(rows, [&](const DeviceRow& row) { return ranks(row) > 1; }))
    text += fmt::format("; {}/s sent by each within a node of {}", format_bytes(device.within_node), device.per_node);
  if (std::ranges::any_of(rows, [&](const DeviceRow& row) { return ranks(row) > device.per_node; }))
    text += fmt::format(", {}/s between nodes", format_bytes(device.between_nodes));
  const ForecastSettings settings = settings_of(first.cell, device, request);
  text += fmt::format(
      ". Checkpoints are written at {}/s, every {}; pictures have {} each. All but FLOPs, bytes and memory of tensors "
      "is calculated from these figures, not measured; NEEDED has {} for {}. Training only, without "
      "evaluation and waiting for data. docs/scale.md has the formulas and sources.",
      format_bytes(settings.disk), format_duration(settings.checkpoint_interval), format_bytes(settings.picture_bytes),
      format_bytes(settings.reserved_memory), is_cpu(device) ? "the process" : "CUDA, cuBLAS and NCCL");
  return paragraph(text, kWidth, 0);
}

// All cells one after the other, whatever is finished here.
std::string summary(const std::vector<DeviceRow>& rows) {
  int64_t cells = 0;
  double flops = 0, seconds = 0, device_seconds = 0;
  for (const DeviceRow& row : rows) {
    const auto number = static_cast<double>(row.cells);
    cells += row.cells;
    flops += number * row.training.flops;
    seconds += number * row.forecast.seconds;
    device_seconds += number * row.forecast.device_seconds;
  }
  return fmt::format("{}: {}FLOP, {} device-hours, {} one after the other\n", count(cells, "cell"),
                     format_quantity(flops), hours(device_seconds), format_duration(seconds));
}

}  // namespace

void add_device_flags(CLI::App& command, DeviceRequest& request) {
  command
      .add_option(
          "--device", request.name,
          "what a cell would take on such devices, one for each rank, counted and calculated instead of "
          "measured here: h100, h200, a100-80, a100-40, l40s, v100, rtx4090, tpu-v4, tpu-v5e, tpu-v5p, cpu, or a "
          "file NAME.toml")
      ->option_text("NAME");
  command.add_option("--mfu", request.mfu, "with --device: the part of its peak that training reaches")
      ->option_text("0…1")
      ->check(CLI::Range(0.001, 1.0));
  command
      .add_option("--network", request.network, "with --device: GB/s that each sends to others of its node and beyond")
      ->option_text("GB/s")
      ->check(CLI::PositiveNumber);
  command.add_option("--disk", request.disk, "with --device: GB/s at which checkpoints are written (default: 2)")
      ->option_text("GB/s")
      ->check(CLI::PositiveNumber);
  command.add_option("--picture-kb", request.picture_kb, "with --device: kB of a picture in its file (default: 50)")
      ->option_text("kB")
      ->check(CLI::PositiveNumber);
}

std::optional<Device> chosen_device(const DeviceRequest& request) {
  if (request.name.empty()) {
    if (request.mfu || request.network || request.disk || request.picture_kb)
      throw Error("--mfu, --network, --disk and --picture-kb say more of a --device, and none is named");
    return std::nullopt;
  }
  Device device = find_device(request.name);
  if (request.mfu) device.bf16_mfu = device.fp32_mfu = *request.mfu;
  if (request.network) device.within_node = device.between_nodes = *request.network * kGiga;
  return device;
}

DeviceRow plan_on_device(const Engine& engine, const ResolvedCell& cell, const Device& device,
                         const DeviceRequest& request) {
  check_precision(device, cell.engine.precision);
  const ForecastSettings settings = settings_of(cell, device, request);
  DeviceRow row{.name = row_label(cell), .cells = 0, .cell = cell, .training = {}, .forecast = {}, .remedy = {}};
  row.training = count_training(engine, cell);
  row.forecast = forecast(row.training, device, settings);
  if (row.forecast.fits || row.training.memory.state() > device.memory) return row;
  for (const std::vector<std::string>& way : savings(cell)) {
    ResolvedCell saving = cell;
    for (const std::string& setting : way) apply(saving, setting);
    try {
      if (!forecast(count_training(engine, saving), device, settings).fits) continue;
    } catch (const Error&) {
      continue;  // a backbone that cannot be computed in chunks, say
    }
    row.remedy = way;
    break;
  }
  return row;
}

std::string describe(const std::vector<DeviceRow>& rows, const Device& device, const DeviceRequest& request) {
  if (rows.empty()) return "";
  return what_it_takes(rows) + "\n" + an_update(rows) + "\n" + memory_of(rows, device) + "\n" +
         that_do_not_fit(rows, device) + basis(rows, device, request) + "\n" + summary(rows);
}

nlohmann::ordered_json json_of(const Device& device) {
  return {{"name", device.name},
          {"title", device.title},
          {"bf16_flops", device.bf16_flops},
          {"fp32_flops", device.fp32_flops},
          {"memory", device.memory},
          {"memory_bandwidth", device.memory_bandwidth},
          {"within_node", device.within_node},
          {"between_nodes", device.between_nodes},
          {"devices_per_node", device.per_node},
          {"bf16_mfu", device.bf16_mfu},
          {"fp32_mfu", device.fp32_mfu},
          {"mfu_assumed", device.mfu_assumed},
          {"mfu_source", device.mfu_source},
          {"source", device.source}};
}

nlohmann::ordered_json json_of(const DeviceRow& row) {
  const CountedMemory& memory = row.training.memory;
  const Forecast& forecast = row.forecast;
  return {{"ranks", row.training.ranks},
          {"parameters", row.training.parameters},
          {"steps", row.training.steps},
          {"flops", row.training.flops},
          {"seconds", forecast.seconds},
          {"device_seconds", forecast.device_seconds},
          {"mfu", forecast.mfu},
          {"update",
           {{"seconds", forecast.update_seconds},
            {"computing", forecast.computing},
            {"optimizer", forecast.optimizer},
            {"waiting", forecast.waiting},
            {"beside", forecast.beside},
            {"bytes_sent_beside", forecast.sent_gradients},
            {"bytes_sent_waiting", forecast.sent_otherwise}}},
          {"memory",
           {{"weights", memory.weights},
            {"teacher", memory.kept},
            {"gradients", memory.gradients},
            {"optimizer", memory.optimizer},
            {"buckets", memory.buckets},
            {"activations", memory.activations},
            {"needed", forecast.needed_memory}}},
          {"fits", forecast.fits},
          {"fits_with", row.remedy},
          {"images_per_second", forecast.pictures_per_second},
          {"read_bytes_per_second", forecast.read_per_second},
          {"input_bytes_per_second", forecast.input_per_second},
          {"checkpoint_bytes", row.training.checkpoint_bytes},
          {"checkpoint_seconds", forecast.checkpoint_seconds}};
}

}  // namespace silc
